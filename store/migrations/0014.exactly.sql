-- Verdicts that are to be worked out again, because what is near has changed since they were given.
-- depends: 0011.basemap 0012.backups 0013.intake

create table judge_again (
    judge_again_id  bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    datastream_id   integer not null references datastream,
    first_time      timestamptz not null,
    last_time       timestamptz not null,
    check (first_time <= last_time)
);
comment on table judge_again is 'stretches in which something changed that the gate had not seen when it judged what is near: late values, corrections, another worker. Noted with the values, taken out with the new verdicts';

alter table judge_again enable row level security;
create policy worker on judge_again to mimamori_worker using (true) with check (true);
grant select, insert, delete on judge_again to mimamori_worker;
grant usage on all sequences in schema public to mimamori_worker;
