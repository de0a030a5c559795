-- Watched folders: what is dropped there as a file becomes observations. What was read of which file, under which map.
-- depends: 0024.sources

create table folder (
    folder_id       integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    name            text not null,
    found_at        timestamptz not null,
    looked_at       timestamptz not null,
    obstacle        text check (obstacle in ('gone', 'refused')),
    obstacle_since  timestamptz,
    read_only       boolean not null default false,
    stays           boolean not null default false,
    every           interval check (every > interval '0'),
    every_since     timestamptz,
    map_version     integer,
    fed_at          timestamptz,
    waiting         jsonb not null default '[]',
    ended_at        timestamptz,
    unique (municipality_id, name),
    constraint obstacle_has_a_time check ((obstacle is null) = (obstacle_since is null)),
    constraint contract_has_a_beginning check ((every is null) = (every_since is null))
);
comment on table folder is 'a folder below MIMAMORI_FOLDERS; times are town time';
comment on column folder.name is 'of the folder itself, as the worker has found it; nobody types a path';
comment on column folder.obstacle is 'gone: the folder is not there; refused: it may not be read';
comment on column folder.read_only is 'read files could not be moved: they stay where they are';
comment on column folder.stays is 'somebody wants read files to stay where they are';
comment on column folder.every is 'the contract: so often something new is to come; null: whenever it likes';
comment on column folder.fed_at is 'when the newest file came that brought something new';
comment on column folder.ended_at is 'it is no longer watched; a folder of that name that appears again is';
comment on column folder.waiting is 'files that are there and not yet read: [{name, size, why}]';

create table folder_map (
    folder_id       integer not null references folder,
    version         integer not null,
    municipality_id integer not null references municipality,
    map             text not null,
    saved_at        timestamptz not null,
    user_id         integer references app_user,
    primary key (folder_id, version)
);
comment on table folder_map is 'which column is which series: every map that was ever saved, YAML as import-csv has it';
alter table folder add constraint folder_has_that_map foreign key (folder_id, map_version) references folder_map;

create table folder_file (
    folder_file_id  bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    folder_id       integer not null references folder,
    sha256          bytea not null check (octet_length(sha256) = 32),
    name            text not null,
    place           text not null,
    size            bigint not null,
    arrived_at      timestamptz not null,
    state           text not null check (state in ('reading', 'read', 'failed')),
    version         integer not null,
    reached         integer not null default 0,
    lines           integer not null default 0,
    stored          integer not null default 0,
    unchanged       integer not null default 0,
    revised         integer not null default 0,
    rejected        integer not null default 0,
    newest          timestamptz,
    reason          text,
    reason_ja       text,
    repeats         integer not null default 0,
    wanted          boolean not null default false,
    finished_at     timestamptz,
    unique (folder_id, sha256),
    check ((state = 'failed') = (reason is not null))
);
comment on table folder_file is 'every content that was ever read, once; the same content again only adds to repeats. The file itself is kept';
comment on column folder_file.place is 'where it lies, from the folder: NAME, done/NAME or failed/NAME';
comment on column folder_file.version is 'the map under which it is, or was, read';
comment on column folder_file.reached is 'the last line whose values are stored; moves in the transaction that stores them';
comment on column folder_file.stored is 'values of the newest reading: new; unchanged and revised (replaced another, or lost against it) as in delivery_count';
comment on column folder_file.wanted is 'somebody wants it read again';
create index folder_file_newest on folder_file (folder_id, arrived_at desc);
create index folder_file_again on folder_file (folder_id) where wanted or state <> 'read' or rejected > 0;

create table folder_problem (
    folder_file_id  bigint not null references folder_file on delete cascade,
    municipality_id integer not null references municipality,
    line            integer not null,
    reason          text not null,
    reason_ja       text not null
);
comment on table folder_problem is 'what of a line could not be taken, in both languages; the first ones of a file';
create index folder_problem_of on folder_problem (folder_file_id, line);

create table folder_series (
    folder_id       integer not null references folder,
    datastream_id   integer not null references datastream,
    municipality_id integer not null references municipality,
    newest          timestamptz not null,
    brought_at      timestamptz not null,
    primary key (folder_id, datastream_id)
);
comment on table folder_series is 'which series a folder has brought values of, the time of the newest, and when its file came';
create index folder_series_datastream on folder_series (datastream_id);

create table folder_sample (
    folder_id       integer not null references folder,
    source          text not null check (source in ('file', 'upload')),
    municipality_id integer not null references municipality,
    name            text not null,
    taken_at        timestamptz not null,
    sheets          jsonb not null,
    primary key (folder_id, source)
);
comment on table folder_sample is 'the first lines of the newest file, and of one that somebody uploaded: what a map is made with';
comment on column folder_sample.sheets is '[{name, rows: [[text]], merged: [A1:B2]}]; name is null for a CSV file';

create table folder_draft (
    folder_id       integer not null references folder,
    user_id         integer not null references app_user,
    municipality_id integer not null references municipality,
    fields          jsonb not null,
    primary key (folder_id, user_id)
);
comment on table folder_draft is 'a map that somebody is making: the fields of the form, until they save it';

create table folder_watch (
    municipality_id integer primary key references municipality,
    seen_at         timestamptz not null,
    stopped_at      timestamptz
);
comment on table folder_watch is 'the sign of life of the process that reads the folders (town time)';

do $$
declare
    t text;
begin
    foreach t in array array['folder', 'folder_map', 'folder_file', 'folder_problem', 'folder_series', 'folder_sample',
                             'folder_draft', 'folder_watch'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select on %I to mimamori_api', t);
    end loop;
end $$;
grant select on folder_map, folder_draft to mimamori_worker;
grant select, insert, update on folder, folder_file, folder_series, folder_sample, folder_watch to mimamori_worker;
grant select, insert, delete on folder_problem to mimamori_worker;
-- A person says what the columns mean, how often something is to come, and which files are to be read again; what came
-- of it is the worker's to say.
grant update (stays, every, every_since, map_version, ended_at) on folder to mimamori_api;
grant insert on folder_map to mimamori_api;
grant update (wanted) on folder_file to mimamori_api;
grant insert, update, delete on folder_sample to mimamori_api;
grant insert, update, delete on folder_draft to mimamori_api;
grant usage on all sequences in schema public to mimamori_worker, mimamori_api;
