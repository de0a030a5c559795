-- Reports of the visitors: how the office counts its years and gaps, the columns of the prefecture's table, what people
-- say of a spot for the common standard, what surveys found there, and the monthly letter with its file.
-- depends: 0045.levels 0046.links 0047.official 0048.jma 0049.forecasts 0050.alerts 0051.spots

create table report_setting (
    report_setting_id integer generated always as identity primary key,
    municipality_id   integer not null references municipality,
    year_kind         text not null check (year_kind in ('fiscal', 'calendar')),
    most_missing      smallint not null check (most_missing between 0 and 15),
    said_at           timestamptz not null,
    user_id           integer not null references app_user
);
comment on table report_setting is 'append-only: how an office makes its reports; the newest holds. None: fiscal years, 3 days';
comment on column report_setting.most_missing is 'with more days missing, or counted in part, a month has no total';
create index report_setting_newest on report_setting (municipality_id, report_setting_id desc);

create table report_layout (
    report_layout_id integer generated always as identity primary key,
    municipality_id  integer not null references municipality,
    from_month       date not null check (extract(day from from_month) = 1),
    columns          jsonb not null check (jsonb_typeof(columns) = 'array' and jsonb_array_length(columns) > 0),
    reason           text not null check (reason <> ''),
    said_at          timestamptz not null,
    user_id          integer not null references app_user
);
comment on table report_layout is 'append-only: the columns of the table for the prefecture from a month on; of those that have begun the latest holds, of one month the newest';
comment on column report_layout.columns is 'a list of {field, title, unit}';
create index report_layout_newest on report_layout (municipality_id, from_month desc, report_layout_id desc);

create table spot_standard (
    spot_standard_id integer generated always as identity primary key,
    municipality_id  integer not null references municipality,
    spot_id          integer not null references spot,
    non_daily        boolean,
    measurable       boolean,
    category         text not null default '',
    number           text not null default '',
    source           text not null check (source <> ''),
    said_at          timestamptz not null,
    user_id          integer not null references app_user
);
comment on table spot_standard is 'append-only: what people say of a spot for 観光入込客統計に関する共通基準; the newest holds. Criterion (3) is computed';
comment on column spot_standard.non_daily is '(1) mainly used outside daily life; null: nobody has said';
comment on column spot_standard.measurable is '(2) its visitors can be measured; null: nobody has said';
comment on column spot_standard.number is 'of the point in the prefecture''s list';
comment on column spot_standard.source is 'where this is written, or who decided it';
create index spot_standard_newest on spot_standard (spot_id, spot_standard_id desc);

create table spot_survey (
    spot_survey_id    integer generated always as identity primary key,
    municipality_id   integer not null references municipality,
    spot_id           integer not null references spot,
    first_day         date not null,
    last_day          date not null check (last_day >= first_day),
    asked             integer check (asked > 0),
    day_trip          double precision check (day_trip between 0 and 100),
    overnight         double precision check (overnight between 0 and 100),
    in_prefecture     double precision check (in_prefecture between 0 and 100),
    other_prefectures double precision check (other_prefectures between 0 and 100),
    abroad            double precision check (abroad between 0 and 100),
    source            text not null check (source <> ''),
    entered_at        timestamptz not null,
    user_id           integer not null references app_user,
    withdrawn_at      timestamptz,
    withdrawn_by      integer references app_user,
    check (num_nonnulls(day_trip, overnight) in (0, 2)),
    check (num_nonnulls(in_prefecture, other_prefectures, abroad) in (0, 3)),
    check (num_nonnulls(day_trip, in_prefecture) > 0)
);
comment on table spot_survey is 'what an interview survey at a spot found, in per cent of those asked. A wrong one is withdrawn, never changed';
create index spot_survey_of on spot_survey (spot_id, last_day desc);

create table report_mail (
    report_mail_id  integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    name            text not null check (name <> ''),
    kind            text not null check (kind in ('daily', 'monthly', 'prefecture')),
    version         text not null check (version in ('confirmed', 'all')),
    compared        boolean not null,
    day             smallint not null check (day between 1 and 28),
    hour            smallint not null check (hour between 0 and 23),
    spot_ids        integer[] check (cardinality(spot_ids) > 0),
    user_ids        integer[] not null check (cardinality(user_ids) > 0),
    made_at         timestamptz not null,
    user_id         integer not null references app_user,
    ended_at        timestamptz,
    ended_by        integer references app_user
);
comment on table report_mail is 'on this day of every month, at this hour (local), the report of the month before goes to these accounts by mail';
comment on column report_mail.spot_ids is 'null: all spots that there are then';
create index report_mail_of on report_mail (municipality_id) where ended_at is null;

create table report_letter (
    report_letter_id bigint generated always as identity primary key,
    municipality_id  integer not null references municipality,
    report_mail_id   integer not null references report_mail,
    month            date not null check (extract(day from month) = 1),
    written_at       timestamptz not null,
    subject          text not null,
    body             text not null,
    file_name        text not null,
    file             bytea not null,
    posted_at        timestamptz,
    unique (report_mail_id, month)
);
comment on table report_letter is 'the report of a month as it was sent. Written by analytics; the alerts process puts it into the outbox';
comment on column report_letter.posted_at is 'town time; null: its messages are not written yet';
create index report_letter_waiting on report_letter (report_letter_id) where posted_at is null;

alter table outbox add column report_letter_id bigint references report_letter;
alter table outbox drop constraint outbox_about;
alter table outbox add constraint outbox_about
    check (num_nonnulls(alert_history_id, weekly_digest_id, call_test_id, report_letter_id) = 1);
alter table outbox add constraint outbox_report_once unique (report_letter_id, channel, recipient);

do $$
declare
    t text;
begin
    foreach t in array array['report_setting', 'report_layout', 'spot_standard', 'spot_survey', 'report_mail',
                             'report_letter'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select on %I to mimamori_worker, mimamori_api', t);
    end loop;
end $$;
grant insert on report_setting, report_layout, spot_standard, spot_survey, report_mail to mimamori_api;
grant update (withdrawn_at, withdrawn_by) on spot_survey to mimamori_api;
grant update (ended_at, ended_by) on report_mail to mimamori_api;
grant insert, update (posted_at) on report_letter to mimamori_worker;
grant usage on all sequences in schema public to mimamori_worker, mimamori_api;
