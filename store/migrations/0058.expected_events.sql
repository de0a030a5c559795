-- What is expected at a spot on a day of an entry of the town's calendar says which entry it was reckoned with, and how.
-- depends: 0052.entries 0053.checks 0054.reports 0055.events 0056.rivers 0057.expected

alter table visitor_expected
    add column event_name   text,
    add column event_basis  text check (event_basis in ('same', 'alike', 'none')),
    add column event_past   smallint check (event_past >= 0),
    add column event_factor real check (event_factor > 0),
    add check (num_nulls(event_name, event_basis, event_past, event_factor) in (0, 4));
comment on column visitor_expected.event_name is 'the entry of local_event that the day lies in, as it was called when this was reckoned; null: none';
comment on column visitor_expected.event_basis is 'same: as at its earlier ones here, alike: as at others of its kind here, none: nothing is known, only the interval is wider';
comment on column visitor_expected.event_past is 'how many earlier entries say so';
comment on column visitor_expected.event_factor is 'how many times as many as without it are expected';
