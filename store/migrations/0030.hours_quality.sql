-- A curve of hours says which of them hold doubted values: that is read from the index as well.
-- depends: 0029.neighbours

alter table rollup_hour drop constraint rollup_hour_pkey;
alter table rollup_hour add primary key (datastream_id, hour)
    include (municipality_id, n, minimum, maximum, total, worst_quality);
