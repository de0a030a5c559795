-- A thermometer of the air is a kind of station; a rain gauge may have one too.
-- depends: 0068.loggers

alter table station drop constraint station_kind_check;
alter table station add constraint station_kind_check check (kind in
    ('river_gauge', 'rain_gauge', 'thermometer', 'inundation_point', 'shelter',
     'block_inlet', 'service_tank', 'pressure_point', 'pump', 'water_quality', 'leak_logger',
     'visitor_spot', 'visitor_area', 'parking'));
