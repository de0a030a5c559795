-- The pipes of a town: what its GIS or a hydraulic model says lies in the ground, in dated versions. What was read from
-- a file is a draft until somebody has seen its problems and takes it over.
-- depends: 0058.expected_events 0061.report_addresses

create table pipe_network (
    pipe_network_id integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    files           text[] not null,
    form            text not null check (form in ('inp', 'gis')),
    epsg            integer,
    hydraulics      text,
    problems        jsonb not null,
    read_at         timestamptz not null,
    read_by         integer references app_user,
    taken_at        timestamptz check (taken_at >= read_at),
    taken_by        integer references app_user,
    left_out_at     timestamptz check (left_out_at is null or taken_at is null)
);
comment on table pipe_network is 'a version of the pipe network; the one taken over last is the present one. Nothing of it is public';
comment on column pipe_network.files is 'the names of the files it was read from';
comment on column pipe_network.epsg is 'the plane that places are in; null: the file''s own, which no map knows';
comment on column pipe_network.hydraulics is 'of a hydraulic model the whole of it as an EPANET file, in the town''s names; null: the pipes come from a map';
comment on column pipe_network.problems is '[[code, file, feature, values, place], ...] as analytics.leaks.network.problems';
comment on column pipe_network.read_at is 'town time, as taken_at and left_out_at';
comment on column pipe_network.taken_at is 'null: a draft';
comment on column pipe_network.left_out_at is 'when somebody decided against a draft, or read another file; its pipes are gone then';
create index pipe_network_of on pipe_network (municipality_id, taken_at desc);

create table network_node (
    pipe_network_id integer not null references pipe_network,
    municipality_id integer not null references municipality,
    node            integer not null,
    name            text not null,
    x               double precision,
    y               double precision,
    elevation       double precision,
    primary key (pipe_network_id, node)
);
comment on table network_node is 'where pipes end or meet; x east, y north, elevation: metres; null: not known';

create table network_pipe (
    pipe_network_id integer not null references pipe_network,
    municipality_id integer not null references municipality,
    pipe            integer not null,
    name            text not null,
    start_node      integer not null,
    end_node        integer not null,
    length_m        double precision not null,
    diameter_mm     double precision,
    material        text,
    year            integer,
    block           text,
    roughness       double precision,
    closed          boolean not null,
    line            double precision[] not null,
    primary key (pipe_network_id, pipe),
    foreign key (pipe_network_id, start_node) references network_node (pipe_network_id, node),
    foreign key (pipe_network_id, end_node) references network_node (pipe_network_id, node)
);
comment on table network_pipe is 'null: not known; line: x, y, x, y, ... in metres from start to end';

create table network_fixture (
    pipe_network_id integer not null references pipe_network,
    municipality_id integer not null references municipality,
    fixture         integer not null,
    name            text not null,
    kind            text not null check (kind in ('valve', 'hydrant', 'meter', 'tank')),
    x               double precision not null,
    y               double precision not null,
    pipe            integer,
    attributes      jsonb not null,
    primary key (pipe_network_id, fixture),
    foreign key (pipe_network_id, pipe) references network_pipe (pipe_network_id, pipe)
);
comment on column network_fixture.pipe is 'the pipe it is on; null: none is near';

create table network_block (
    pipe_network_id integer not null references pipe_network,
    municipality_id integer not null references municipality,
    block           integer not null,
    name            text not null,
    ring            double precision[] not null,
    primary key (pipe_network_id, block)
);
comment on table network_block is '配水ブロック as drawn; ring: x, y, x, y, ... in metres';

alter table pipe_network enable row level security;
alter table network_node enable row level security;
alter table network_pipe enable row level security;
alter table network_fixture enable row level security;
alter table network_block enable row level security;
create policy worker on pipe_network to mimamori_worker using (true) with check (true);
create policy worker on network_node to mimamori_worker using (true) with check (true);
create policy worker on network_pipe to mimamori_worker using (true) with check (true);
create policy worker on network_fixture to mimamori_worker using (true) with check (true);
create policy worker on network_block to mimamori_worker using (true) with check (true);
create policy tenant on pipe_network to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
create policy tenant on network_node to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
create policy tenant on network_pipe to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
create policy tenant on network_fixture to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
create policy tenant on network_block to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select, insert, update on pipe_network to mimamori_api, mimamori_worker;
grant select, insert, delete on network_node, network_pipe, network_fixture, network_block to mimamori_api, mimamori_worker;
grant usage on all sequences in schema public to mimamori_api, mimamori_worker;
