-- What the town tells the public, and which named person said so. Nothing of it is ever changed or removed.
-- depends: 0029.neighbours

create table threshold_source (
    threshold_source_id integer generated always as identity primary key,
    municipality_id     integer not null references municipality,
    threshold_set_id    integer not null references threshold_set,
    source              text not null check (source in ('administrator', 'adopted', 'own')),
    authority           text check (authority <> ''),
    document            text check (document <> ''),
    dated               date,
    words               text[],
    words_en            text[],
    stated_at           timestamptz not null,
    user_id             integer references app_user,
    check ((source = 'administrator') = (authority is not null)),
    check ((source = 'adopted') = (document is not null and dated is not null)),
    check (source = 'own' or words is null),
    check ((words is null) = (words_en is null))
);
comment on table threshold_source is 'append-only: whose reference levels a set holds; the newest statement stands, and without one they are the town''s own. Only administrator and adopted may be told as 警戒レベル○相当';
comment on column threshold_source.authority is '河川管理者 (administrator)';
comment on column threshold_source.document is 'number of the document, dated, by which the town adopted them';
comment on column threshold_source.words is 'what the public reads for the levels of an own set, lowest first; null: 町基準１, 町基準２, ...';
comment on column threshold_source.stated_at is 'town time; user_id null: the town file';
create index threshold_source_of on threshold_source (threshold_set_id, threshold_source_id desc);

create table public_notice (
    public_notice_id bigint generated always as identity primary key,
    municipality_id  integer not null references municipality,
    station_id       integer not null references station,
    alert_id         bigint not null references alert,
    mode             text not null check (mode in ('actual', 'exercise', 'test')),
    kind             text not null check (kind in ('alert', 'update', 'cancel')),
    supersedes       bigint references public_notice,
    equivalent       boolean not null,
    level            smallint not null check (level between 1 and 5),
    threshold        double precision,
    phenomenon_time  timestamptz not null,
    value            double precision not null,
    made_at          timestamptz not null,
    made_by          integer not null references app_user,
    check ((kind = 'alert') = (supersedes is null))
);
comment on table public_notice is 'append-only: a notice to the public as it was drafted from an alert; it is nothing until public_notice_event says that a person approved it';
comment on column public_notice.kind is 'as in CAP: alert begins a chain, update and cancel take the place of the notice in supersedes';
comment on column public_notice.equivalent is 'whether its threshold set may be told as 警戒レベル○相当';
comment on column public_notice.phenomenon_time is 'with value: the observation that it tells';
create index public_notice_of on public_notice (alert_id, public_notice_id desc);
create index public_notice_newest on public_notice (municipality_id, public_notice_id desc);

create table public_notice_text (
    public_notice_text_id bigint generated always as identity primary key,
    municipality_id       integer not null references municipality,
    public_notice_id      bigint not null references public_notice,
    ja_headline           text not null check (ja_headline <> ''),
    ja_body               text not null check (ja_body <> ''),
    en_headline           text not null check (en_headline <> ''),
    en_body               text not null check (en_body <> ''),
    plain_headline        text not null check (plain_headline <> ''),
    plain_body            text not null check (plain_body <> ''),
    written_at            timestamptz not null,
    user_id               integer references app_user
);
comment on table public_notice_text is 'append-only: the words of a notice; the newest row of a draft stands. plain: やさしい日本語';
comment on column public_notice_text.user_id is 'null: as the wording module wrote it';
create index public_notice_text_of on public_notice_text (public_notice_id, public_notice_text_id desc);

create table public_notice_event (
    public_notice_id      bigint primary key references public_notice,
    municipality_id       integer not null references municipality,
    event                 text not null check (event in ('approved', 'discarded')),
    at                    timestamptz not null,
    user_id               integer not null references app_user,
    public_notice_text_id bigint references public_notice_text,
    valid_until           timestamptz,
    ends                  bigint unique references public_notice,
    ja_closing            text,
    en_closing            text,
    plain_closing         text,
    check ((event = 'approved') = (public_notice_text_id is not null)),
    check ((event = 'approved') = (valid_until is not null)),
    check ((event = 'approved') = (num_nulls(ja_closing, en_closing, plain_closing) = 0)),
    check (event = 'approved' or ends is null),
    check (valid_until > at)
);
comment on table public_notice_event is 'append-only: what a person decided about a draft, once. Approved: the words of public_notice_text_id with this closing line were told from at on';
comment on column public_notice_event.ends is 'the notice that it took the place of: no notice ends twice';
comment on column public_notice_event.ja_closing is 'the last line with the evacuation information of that moment';

do $$
declare
    t text;
begin
    foreach t in array array['threshold_source', 'public_notice', 'public_notice_text', 'public_notice_event'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select, insert on %I to mimamori_api', t);
        execute format('grant select on %I to mimamori_worker', t);
    end loop;
end $$;
grant usage on all sequences in schema public to mimamori_worker, mimamori_api;
