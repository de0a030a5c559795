-- What was done about a leak may be entered without a network and sent later: what is sent twice is entered once.
-- depends: 0072.sound_loggers

alter table leak_case_step add column client_key uuid;
comment on column leak_case_step.client_key is 'made by the form: the same step sent again has the same; null where it came by another way';
create unique index leak_case_step_once on leak_case_step (municipality_id, client_key) where client_key is not null;
