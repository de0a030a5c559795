-- A backup of one engine goes into the other table by table. A folder names its map and the map its folder: neither can
-- come first, so the one that may be checked last is checked at the end of the transaction.
-- depends: 0026.quality

alter table folder drop constraint folder_has_that_map;
alter table folder add constraint folder_has_that_map foreign key (folder_id, map_version) references folder_map
    deferrable initially immediate;
