-- What a count is worth before it is published: times at which a counter was at fault, estimates, and the gate of the
-- days (provisional, checked, confirmed).
-- depends: 0051.spots

create table count_period (
    count_period_id integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    station_id      integer not null references station,
    kind            text not null check (kind in ('outage', 'blocked', 'jammed', 'works')),
    starts_at       timestamptz not null,
    ends_at         timestamptz check (ends_at > starts_at),
    standing        text not null check (standing in ('found', 'confirmed', 'by_hand', 'overruled', 'replaced')),
    rule_version    text,
    detail          jsonb not null default '{}',
    found_at        timestamptz not null,
    said_at         timestamptz,
    user_id         integer references app_user,
    reason          text not null default '',
    check ((standing = 'found') = (user_id is null)),
    check ((user_id is null) = (said_at is null)),
    constraint one_period_at_a_time exclude using gist (station_id with =, tstzrange(starts_at, ends_at) with &&)
        where (standing in ('found', 'confirmed', 'by_hand'))
);
comment on table count_period is 'when the counter of a station did not count who came: what a rule found, and what people say of that or add by hand. All times are town time; ends_at null: it lasts';
comment on column count_period.kind is 'outage: nothing came; blocked: zeros where somebody always comes; jammed: a number that no crowd makes; works: people know that it did not count as usual';
comment on column count_period.standing is 'found by a rule; confirmed by a person; by_hand; overruled: the counts were true; replaced by a period of a person. The first three take the hours out of the counts';
comment on column count_period.reason is 'of the person who confirmed, overruled or added it';
create index count_period_of on count_period (station_id, starts_at);

create table count_period_said (
    count_period_said_id bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    count_period_id integer not null references count_period,
    standing        text not null,
    kind            text not null,
    starts_at       timestamptz not null,
    ends_at         timestamptz,
    reason          text not null,
    said_at         timestamptz not null,
    user_id         integer not null references app_user
);
comment on table count_period_said is 'append-only: what people said of a period, each time, with the times it then had';
create index count_period_said_of on count_period_said (count_period_id, count_period_said_id);

create table count_estimate (
    municipality_id integer not null references municipality,
    datastream_id   integer not null references datastream,
    hour            timestamptz not null,
    value           double precision not null check (value >= 0),
    low             double precision not null,
    high            double precision not null,
    days            smallint not null,
    primary key (datastream_id, hour),
    check (low <= value and value <= high)
);
comment on table count_estimate is 'what would have been counted in an hour without a true count; worked out anew whenever its day changes. The intervals of the hours of a day are of their sum (90 %)';
comment on column count_estimate.days is 'of the same kind, which the interval was measured on';

create table spot_choice (
    spot_choice_id  integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    spot_id         integer not null references spot,
    outages         text not null check (outages in ('estimate', 'missing')),
    public          boolean not null,
    smallest        smallint not null check (smallest between 1 and 100),
    reason          text not null default '',
    said_at         timestamptz not null,
    user_id         integer not null references app_user
);
comment on table spot_choice is 'append-only: how a spot is published; the newest holds. None: outages stay missing, not public';
comment on column spot_choice.smallest is 'published numbers below it are written as "fewer than"';
create index spot_choice_newest on spot_choice (spot_id, spot_choice_id desc);

create table day_check (
    municipality_id integer not null references municipality,
    spot_id         integer not null references spot,
    day             date not null,
    version         text not null check (version in ('checked', 'confirmed')),
    visitors        integer,
    raw             integer,
    low             double precision,
    high            double precision,
    completeness    real not null,
    state           text not null,
    method          text not null,
    checked_at      timestamptz not null,
    checked_by      integer not null references app_user,
    confirmed_at    timestamptz,
    confirmed_by    integer references app_user,
    primary key (spot_id, day),
    check ((version = 'confirmed') = (confirmed_at is not null)),
    check ((confirmed_at is null) = (confirmed_by is null))
);
comment on table day_check is 'a day that somebody has looked at, as it was then. Where its number is another one now, it counts as provisional again';

create table day_check_said (
    day_check_said_id bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    spot_id         integer not null references spot,
    day             date not null,
    event           text not null check (event in ('checked', 'confirmed', 'sent_back')),
    visitors        integer,
    visitors_before integer,
    why             text,
    note            text not null default '',
    said_at         timestamptz not null,
    user_id         integer references app_user
);
comment on table day_check_said is 'append-only: who checked and confirmed a day with which number, and what sent it back: then visitors_before is the number that had been looked at and visitors the one of now';
comment on column day_check_said.why is 'of sent_back: late, corrected, period, estimate, factor, method, person';
comment on column day_check_said.user_id is 'null: it was sent back because its number changed';
create index day_check_said_of on day_check_said (spot_id, day, day_check_said_id);

do $$
declare
    t text;
begin
    foreach t in array array['count_period', 'count_period_said', 'count_estimate', 'spot_choice', 'day_check',
                             'day_check_said'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select, insert on %I to mimamori_api, mimamori_worker', t);
    end loop;
end $$;
grant update (kind, starts_at, ends_at, standing, said_at, user_id, reason) on count_period to mimamori_api;
grant update (ends_at) on count_period to mimamori_worker;
grant update, delete on count_estimate to mimamori_api, mimamori_worker;
grant update on day_check to mimamori_api;
grant delete on day_check to mimamori_api, mimamori_worker;
grant usage on all sequences in schema public to mimamori_api, mimamori_worker;
