-- A year of hours of one gauge lies on as many pages as it has hours, for rows come in the order of time. With what a
-- chart draws beside the key it is read from the index alone, where they lie side by side.
-- depends: 0027.portable

alter table rollup_hour drop constraint rollup_hour_pkey;
alter table rollup_hour add primary key (datastream_id, hour) include (municipality_id, n, minimum, maximum, total);
-- What is not known to be seen by all has to be looked up in the table after all: known soon, not after a fifth more.
alter table rollup_hour set (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_scale_factor = 0.02);
