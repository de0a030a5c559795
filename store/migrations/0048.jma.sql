-- What the weather agency issues for the town, as it came: telegrams, what they say of the town's areas, and how the
-- feed itself is.
-- depends: 0044.waits

create table jma_telegram (
    jma_telegram_id bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    digest          bytea not null check (octet_length(digest) = 32),
    kind            text not null check (kind in ('rain', 'landslide', 'surge', 'wind', 'wave', 'snow', 'other_weather',
                                                  'river', 'river_level', 'unknown')),
    title           text not null,
    head_title      text not null,
    status          text not null check (status in ('通常', '訓練', '試験')),
    info_type       text not null check (info_type <> ''),
    office          text not null,
    event_id        text not null,
    serial          text not null,
    report_at       timestamptz not null,
    sent_at         timestamptz not null,
    valid_until     timestamptz,
    headline        text not null,
    body            text not null,
    received_at     timestamptz not null,
    place           text not null,
    named           boolean not null,
    raw             text check (raw <> ''),
    withdrawn_by    bigint references jma_telegram,
    unique (municipality_id, digest)
);
comment on table jma_telegram is 'a telegram of the weather agency that concerns the town, or that takes another one back; nothing of its words is changed. kind: which of ours it is, unknown where nobody here reads it';
comment on column jma_telegram.digest is 'SHA-256 of its elements and texts without the space between them: the same telegram is kept once, from wherever it comes';
comment on column jma_telegram.title is '情報名称 (Control/Title); head_title: 標題 (Head/Title); office: 発表官署; report_at: 発表時刻 (Head); sent_at: 発信時刻 (Control)';
comment on column jma_telegram.place is 'the name of its file, or its address in the feed';
comment on column jma_telegram.named is 'a place of the town stands in it. False: no place at all does, as in a 取消 or at the end of a flood; it concerns the town where another of its kind and river has named it';
comment on column jma_telegram.raw is 'the XML as it came; null once it was let go, its words stay';
comment on column jma_telegram.withdrawn_by is 'the 取消 that took it back: it says nothing any more';
create index jma_telegram_newest on jma_telegram (municipality_id, status, kind, event_id, report_at desc);
create index jma_telegram_of on jma_telegram (municipality_id, report_at desc);
create index jma_telegram_stream on jma_telegram (municipality_id, title, event_id, office);

create function jma_ours(t jma_telegram) returns boolean language sql stable as $$
    select t.named or exists (
        select from jma_telegram o
        where o.municipality_id = t.municipality_id and o.title = t.title and o.event_id = t.event_id
          and (o.event_id <> '' or o.office = t.office) and o.status = t.status and o.named)
$$;
comment on function jma_ours is 'whether a telegram concerns the town: it names it, or names no place at all where another of its stream does. Of a river the stream is the river, else the office';

create table jma_item (
    jma_telegram_id bigint not null references jma_telegram,
    ordinal         smallint not null,
    municipality_id integer not null references municipality,
    area_code       text not null,
    area            text not null,
    name            text not null,
    code            text not null,
    change          text not null,
    level           smallint check (level between 1 and 5),
    in_force        boolean not null,
    primary key (jma_telegram_id, ordinal)
);
comment on table jma_item is 'what a telegram says of one area or river of the town: the name exactly as issued (empty: nothing is issued there), its code, and what has changed, in its own word';
comment on column jma_item.level is 'the 警戒レベル that stands in the name, null where none does';

create table jma_place (
    municipality_id integer not null references municipality,
    kind            text not null,
    event_id        text not null,
    area_code       text not null,
    primary key (municipality_id, kind, event_id, area_code)
);
comment on table jma_place is 'the areas and rivers of which a kind has ever spoken here: of each the newest telegram holds';

create table jma_feed (
    municipality_id integer primary key references municipality,
    source          text not null check (source in ('feed', 'folder')),
    place           text not null,
    started_at      timestamptz not null,
    tried_at        timestamptz,
    looked_at       timestamptz,
    complete_since  timestamptz,
    broken_at       timestamptz,
    fault           text check (fault <> ''),
    fault_said      text,
    fault_since     timestamptz,
    feed_updated_at timestamptz,
    etag            text,
    modified        text,
    caught_up_at    timestamptz,
    bytes_day       date,
    bytes           bigint not null default 0 check (bytes >= 0),
    ended_at        timestamptz,
    check ((fault is null) = (fault_since is null))
);
comment on table jma_feed is 'the feed or folder that a process reads for the town (mimamori run jma), town time; no row, or an ended one: the town has none';
comment on column jma_feed.looked_at is 'when we last knew what there is: the feed has answered and all that it names was fetched, or the folder''s receiver has given a sign of life';
comment on column jma_feed.complete_since is 'nothing is known to be missing since then; what came before may have been changed in the gap that ended there and began at broken_at (null: at the first start)';
comment on column jma_feed.bytes is 'fetched on bytes_day (UTC)';

create table jma_seen (
    municipality_id integer not null references municipality,
    place           text not null,
    seen_at         timestamptz not null,
    primary key (municipality_id, place)
);
comment on table jma_seen is 'entries of the feed that were dealt with: fetched once, however often the feed names them';

create table jma_refused (
    jma_refused_id  bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    place           text not null,
    digest          bytea not null check (octet_length(digest) = 32),
    at              timestamptz not null,
    code            text not null check (code <> ''),
    said            text not null,
    raw             bytea not null,
    unique (municipality_id, digest)
);
comment on table jma_refused is 'what came and was no telegram that can be read, as it came, and why';

do $$
declare
    t text;
begin
    foreach t in array array['jma_telegram', 'jma_item', 'jma_place', 'jma_feed', 'jma_seen', 'jma_refused'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select on %I to mimamori_api', t);
        execute format('grant select, insert on %I to mimamori_worker', t);
    end loop;
end $$;
grant update (raw, withdrawn_by) on jma_telegram to mimamori_worker;
grant update on jma_feed to mimamori_worker;
grant delete on jma_seen, jma_refused to mimamori_worker;
grant usage on all sequences in schema public to mimamori_worker, mimamori_api;
