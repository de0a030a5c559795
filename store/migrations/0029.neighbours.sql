-- A series may be told because it walks away from what its neighbours say.
-- depends: 0028.hours

alter table quality_event drop constraint quality_event_reason_check;
alter table quality_event add constraint quality_event_reason_check
    check (reason in ('spike', 'step', 'drift', 'noise', 'stuck', 'neighbours'));
