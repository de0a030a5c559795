-- What the water may do: a class of data of its own. The database itself shows it to nobody but the disaster desk of a
-- town that has switched it on.
-- depends: 0044.waits

create table internal_forecast_switch (
    internal_forecast_switch_id integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    shown           boolean not null,
    on_wall         boolean not null default false,
    office          text,
    person          text,
    asked_on        date,
    reply           text,
    at              timestamptz not null,
    user_id         integer references app_user,
    check (not shown or coalesce(office <> '' and person <> '' and reply <> '' and asked_on is not null, false)),
    check (shown or not on_wall)
);
comment on table internal_forecast_switch is 'append-only: the newest row of a town says whether it works out and shows what its rivers may do (internal_forecast); without one it does not';
comment on column internal_forecast_switch.on_wall is 'also on screens of the size that hang on a wall';
comment on column internal_forecast_switch.office is 'with person, asked_on and reply: who of the 地方気象台 said what, when';
comment on column internal_forecast_switch.user_id is 'null: somebody with the command line';
create index internal_forecast_switch_of on internal_forecast_switch (municipality_id, internal_forecast_switch_id desc);

alter table internal_forecast_switch enable row level security;
create policy worker on internal_forecast_switch to mimamori_worker using (true);
create policy tenant on internal_forecast_switch to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select on internal_forecast_switch to mimamori_worker;
grant select, insert on internal_forecast_switch to mimamori_api;

create function internal_forecast_on(town integer) returns boolean language sql stable as $$
    select coalesce((select shown from internal_forecast_switch where municipality_id = town
                     order by internal_forecast_switch_id desc limit 1), false)
$$;
comment on function internal_forecast_on is 'whether a town has switched internal_forecast on';

-- api/internal_forecast.py, the only door, says who looks; a transaction that has not come through it sees no row.
create function reads_internal_forecasts() returns boolean language sql stable as $$
    select internal_forecast_on(current_municipality()) and exists (
        select from app_user
        where user_id = nullif(current_setting('mimamori.forecast_reader', true), '')::integer
          and municipality_id = current_municipality() and role = 'disaster')
$$;
comment on function reads_internal_forecasts is 'whether the person of this transaction (mimamori.forecast_reader) is of the disaster desk of a town that has switched internal_forecast on';

create table forecast_model (
    forecast_model_id integer generated always as identity primary key,
    municipality_id   integer not null references municipality,
    datastream_id     integer not null references datastream,
    version           integer not null check (version > 0),
    why               text not null check (why in ('first', 'history', 'weekly', 'flood', 'inputs')),
    method            text not null,
    step              interval not null check (step > interval '0'),
    neighbours        integer[] not null,
    rain              integer[] not null,
    trained_at        timestamptz not null,
    trained_from      timestamptz,
    trained_to        timestamptz,
    n                 integer not null check (n >= 0),
    scores            jsonb not null default '[]',
    used              boolean not null,
    model             bytea not null,
    unique (datastream_id, version)
);
comment on table forecast_model is 'append-only, internal_forecast: what was learnt of a gauge. The newest that is used speaks';
comment on column forecast_model.why is 'why there is one: the first by a rule and at once, then from what is stored, a week later, after a flood, because gauges came or went';
comment on column forecast_model.neighbours is 'datastreams in the order of its record''s columns; rain likewise';
comment on column forecast_model.n is 'levels that it was trained on';
comment on column forecast_model.scores is 'analytics.rivers.scores.Score by lead, of a causal back-test, which takes as long as the learning and comes after it; empty until then, and where there is too little';
comment on column forecast_model.used is 'false: it was worse than the one before, which goes on';

create table forecast (
    datastream_id     integer not null references datastream,
    phenomenon_time   timestamptz not null,
    municipality_id   integer not null references municipality,
    forecast_model_id integer not null references forecast_model,
    rehearsed         boolean not null,
    issued_at         timestamptz not null,
    level             double precision not null,
    leads             real[] not null,
    quantiles         real[] not null,
    missing           integer[] not null,
    doubtful          integer[] not null,
    left_out          integer[] not null,
    primary key (datastream_id, phenomenon_time)
);
comment on table forecast is 'internal_forecast: what was expected of a gauge from the observation of a time on';
comment on column forecast.rehearsed is 'worked out afterwards, by a model that had seen nothing of that time: it was not told to anybody then';
comment on column forecast.issued_at is 'town time at which it was worked out';
comment on column forecast.level is 'the level known then';
comment on column forecast.quantiles is 'metres, leads x analytics.rivers.forecast.fan.QUANTILES, row by row; null where nothing could be said';
comment on column forecast.missing is 'datastreams of the model that had said nothing usable lately';
comment on column forecast.doubtful is 'those whose newest values were doubtful or bad, and were not used';
comment on column forecast.left_out is 'neighbours that the model did not believe';
create index forecast_by_time on forecast (municipality_id, phenomenon_time);

do $$
declare
    t text;
begin
    foreach t in array array['forecast_model', 'forecast'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy disaster_desk on %I for select to mimamori_api
                        using (municipality_id = current_municipality() and (select reads_internal_forecasts()))', t);
        execute format('grant select on %I to mimamori_api', t);
        execute format('grant select, insert on %I to mimamori_worker', t);
    end loop;
end $$;
grant delete on forecast to mimamori_worker;
grant update (scores) on forecast_model to mimamori_worker;
grant usage on all sequences in schema public to mimamori_worker, mimamori_api;
