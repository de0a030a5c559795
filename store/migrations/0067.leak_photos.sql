-- Photos of what was dug up. Apart from the photos of reports: nothing releases these to the public, and no day takes
-- them away, for they are part of the record.
-- depends: 0066.block_pipes

create table leak_photo (
    leak_photo_id   bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    leak_case_id    integer not null,
    number          integer not null,
    image           bytea,
    thumbnail       bytea,
    width           integer not null,
    height          integer not null,
    received_at     timestamptz not null,
    forgotten_at    timestamptz,
    forgotten_by    integer references app_user,
    foreign key (leak_case_id, number) references leak_case_step,
    check ((forgotten_at is null) = (image is not null)),
    check ((image is null) = (thumbnail is null)),
    check ((forgotten_at is null) = (forgotten_by is null))
);
comment on table leak_photo is 'of a step of a leak case: JPEG, upright, reduced, without anything a camera wrote beside it; somebody may take the picture away (a face), and the row stays';
comment on column leak_photo.received_at is 'town time, as forgotten_at';
alter table leak_photo alter column image set storage external;
alter table leak_photo alter column thumbnail set storage external;
create index leak_photo_of on leak_photo (leak_case_id);
alter table leak_photo enable row level security;
create policy worker on leak_photo to mimamori_worker using (true) with check (true);
create policy tenant on leak_photo to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select, insert on leak_photo to mimamori_api;
grant update (image, thumbnail, forgotten_at, forgotten_by) on leak_photo to mimamori_api;
grant select on leak_photo to mimamori_worker;
grant usage on all sequences in schema public to mimamori_api;
