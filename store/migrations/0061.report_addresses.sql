-- The monthly report goes to addresses that the tourism office keeps itself; a letter can rest, and be tried out.
-- depends: 0060.count_links

create table report_address (
    report_address_id integer generated always as identity primary key,
    municipality_id   integer not null references municipality,
    name              text not null check (name <> ''),
    email             text not null check (email <> ''),
    made_at           timestamptz not null,
    made_by           integer not null references app_user,
    ended_at          timestamptz,
    ended_by          integer references app_user,
    check ((ended_at is null) = (ended_by is null))
);
comment on table report_address is 'somebody without an account to whom reports are mailed. An address is ended, never changed; times are town time';
create unique index report_address_once on report_address (municipality_id, lower(email)) where ended_at is null;

alter table report_mail add column address_ids integer[] not null default '{}';
alter table report_mail add column off_at timestamptz;
alter table report_mail add column on_at timestamptz;
alter table report_mail drop constraint report_mail_user_ids_check;
alter table report_mail add constraint report_mail_to check (cardinality(user_ids) + cardinality(address_ids) > 0);
alter table report_mail drop constraint report_mail_version_check;
alter table report_mail add constraint report_mail_version_check check (version in ('confirmed', 'all', 'published'));
comment on column report_mail.address_ids is 'of report_address; those that have ended get nothing';
comment on column report_mail.off_at is 'since when it rests; null: it is sent';
comment on column report_mail.on_at is 'when it was last put on again: months whose hour was before are not sent any more';

create table report_mail_test (
    report_mail_test_id integer generated always as identity primary key,
    municipality_id     integer not null references municipality,
    report_mail_id      integer not null references report_mail,
    asked_at            timestamptz not null,
    user_id             integer not null references app_user
);
comment on table report_mail_test is 'append-only: somebody wants a letter tried out now, with the report of the month before';

alter table report_letter add column report_mail_test_id integer unique references report_mail_test;
comment on column report_letter.report_mail_test_id is 'it is a trial; null: the letter of its month';
alter table report_letter drop constraint report_letter_report_mail_id_month_key;
create unique index report_letter_once on report_letter (report_mail_id, month) where report_mail_test_id is null;

do $$
declare
    t text;
begin
    foreach t in array array['report_address', 'report_mail_test'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select, insert on %I to mimamori_api', t);
        execute format('grant select on %I to mimamori_worker', t);
    end loop;
end $$;
grant update (ended_at, ended_by) on report_address to mimamori_api;
grant update (off_at, on_at) on report_mail to mimamori_api;
grant usage on all sequences in schema public to mimamori_api;
