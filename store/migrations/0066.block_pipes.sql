-- Which block of the pipe network lies behind which inlet: a person says it, nobody guesses it from names. And of a leak
-- case, behind which inlet it is searched: the block's nights say later what its repair has brought.
-- depends: 0065.meters

create table block_pipes (
    station_id      integer primary key references station,
    municipality_id integer not null references municipality,
    block           text not null check (block <> ''),
    chosen_at       timestamptz not null,
    chosen_by       integer references app_user,
    unique (municipality_id, block)
);
comment on table block_pipes is 'the block of the pipe network that an inlet feeds; a block that two inlets feed has no figure a km';
comment on column block_pipes.block is 'as the pipes name it, in whatever version of the network';
comment on column block_pipes.chosen_at is 'town time';
alter table block_pipes enable row level security;
create policy worker on block_pipes to mimamori_worker using (true) with check (true);
create policy tenant on block_pipes to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select, insert, update, delete on block_pipes to mimamori_api;
grant select on block_pipes to mimamori_worker;

alter table leak_case add column station_id integer references station;
comment on column leak_case.station_id is 'the inlet behind which it is searched; null: not known';
update leak_case c set station_id = f.station_id from finding f where f.finding_id = c.finding_id;

create index network_pipe_block on network_pipe (pipe_network_id, block);
create function network_km(inlet integer) returns double precision language sql stable as $$
    select (
        select sum(p.length_m) / 1000 from network_pipe p
        where p.block = k.block and p.pipe_network_id = (
            select n.pipe_network_id from pipe_network n
            where n.municipality_id = k.municipality_id and n.taken_at is not null
            order by n.taken_at desc, n.pipe_network_id desc limit 1))
    from block_pipes k where k.station_id = inlet
$$;
comment on function network_km is 'the pipes that somebody has said lie behind an inlet, in the present network; null: nobody has, or it has no such block';
