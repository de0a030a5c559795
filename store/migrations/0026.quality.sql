-- What the learnt checks know of each series, what they have told of it, and what people say of that.
-- depends: 0025.folders

create table quality_memory (
    datastream_id   integer primary key references datastream,
    municipality_id integer not null references municipality,
    form            text not null,
    judged_to       timestamptz not null,
    state           bytea not null
);
comment on table quality_memory is 'what the checks have learnt of a series up to and with judged_to; may be deleted, and is learnt again then';
comment on column quality_memory.form is 'settings and shape of the checks: what was kept under another form is of no use';

create table quality_event (
    quality_event_id bigint generated always as identity primary key,
    municipality_id  integer not null references municipality,
    datastream_id    integer not null references datastream,
    reason           text not null check (reason in ('spike', 'step', 'drift', 'noise', 'stuck')),
    first_time       timestamptz not null,
    last_time        timestamptz not null,
    n                integer not null check (n > 0),
    excess           double precision not null,
    usual            double precision,
    told_at          timestamptz not null,
    rule_version     text not null,
    check (first_time <= last_time)
);
comment on table quality_event is 'values of a series that the learnt checks doubt, side by side: one row for what is one fault; staff say in quality_review what is true';
comment on column quality_event.usual is 'the last value that was believed before it';
comment on column quality_event.excess is 'the greatest, as a multiple of what is tolerated of the series';
create index quality_event_newest on quality_event (datastream_id, last_time desc);
create index quality_event_told on quality_event (municipality_id, first_time desc);

create table quality_verdict (
    municipality_id  integer not null references municipality,
    datastream_id    integer not null,
    phenomenon_time  timestamptz not null,
    value            double precision not null,
    was_quality      quality not null,
    was_reason       text,
    quality          quality not null,
    reason           text not null,
    quality_event_id bigint not null references quality_event,
    told_at          timestamptz not null,
    primary key (datastream_id, phenomenon_time, quality_event_id)
);
comment on table quality_verdict is 'append-only: a verdict on a value that was stored with another one; both are kept here, the value keeps itself';

create table quality_review (
    quality_review_id integer generated always as identity primary key,
    municipality_id   integer not null references municipality,
    datastream_id     integer not null references datastream,
    quality_event_id  bigint references quality_event,
    from_time         timestamptz not null,
    to_time           timestamptz not null,
    verdict           text not null check (verdict in ('true', 'false', 'shifted')),
    amount            double precision,
    note              text not null check (note <> ''),
    user_id           integer not null references app_user,
    stated_at         timestamptz not null,
    correction_id     bigint references correction,
    settled_at        timestamptz,
    check (from_time <= to_time),
    check ((amount is not null) = (verdict = 'shifted'))
);
comment on table quality_review is 'append-only but for its progress: what a person says of a stretch of a series; both ends inclusive. It is done as a correction, step by step';
comment on column quality_review.verdict is 'true: the values stand (reason confirmed). false: they are bad (reason rejected), and stay to be seen. shifted: amount is added to them';
create index quality_review_open on quality_review (quality_review_id) where settled_at is null;
create index quality_review_of on quality_review (quality_event_id);

create table confirmed_month (
    datastream_id   integer not null references datastream,
    month           date not null check (extract(day from month) = 1),
    municipality_id integer not null references municipality,
    user_id         integer not null references app_user,
    stated_at       timestamptz not null,
    withdrawn_at    timestamptz,
    primary key (datastream_id, month, stated_at)
);
comment on table confirmed_month is 'append-only but for its withdrawal: a local month of a series whose values are no longer provisional (暫定値) but confirmed (確定値)';

alter table correction drop constraint correction_operation_check;
alter table correction add constraint correction_operation_check
    check (operation in ('shift', 'scale', 'missing', 'confirm', 'replace', 'calibrate', 'reject'));

do $$
declare
    t text;
begin
    foreach t in array array['quality_memory', 'quality_event', 'quality_verdict', 'quality_review',
                             'confirmed_month'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select on %I to mimamori_api', t);
        execute format('grant select on %I to mimamori_worker', t);
    end loop;
end $$;
grant insert, update, delete on quality_memory to mimamori_worker;
grant insert, update on quality_event to mimamori_worker;
grant insert on quality_verdict to mimamori_worker;
grant update (correction_id, settled_at) on quality_review to mimamori_worker;
-- What is true is for a person to say.
grant insert on quality_review, confirmed_month to mimamori_api;
grant update (withdrawn_at) on confirmed_month to mimamori_api;
grant usage on all sequences in schema public to mimamori_worker, mimamori_api;
