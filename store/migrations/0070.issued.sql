-- What is expected at a spot on a day for which a 警報 of the weather agency stands says which, and what it changed.
-- depends: 0069.air

alter table visitor_expected
    add column issued_name   text,
    add column issued_office text,
    add column issued_since  timestamptz,
    add column issued_basis  text check (issued_basis in ('same', 'alike', 'none')),
    add column issued_past   smallint check (issued_past >= 0),
    add column issued_factor real check (issued_factor > 0),
    add check (num_nulls(issued_name, issued_office, issued_since, issued_basis, issued_past, issued_factor) in (0, 6));
comment on column visitor_expected.issued_name is 'what of the agency stood for the day when this was reckoned, in its own words; null: nothing that is known';
comment on column visitor_expected.issued_since is '発表時刻 of the first telegram that said so';
comment on column visitor_expected.issued_basis is 'same: as on earlier days of the same name here, alike: as on days of others here, none: nothing is known, only the interval is wider';
comment on column visitor_expected.issued_past is 'how many earlier days say so';
comment on column visitor_expected.issued_factor is 'how many times as many as without it are expected';
