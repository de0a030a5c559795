-- What lasts is not forgotten: a notice to the public whose time ends before its alert does, a station that is put in
-- trial over an open alert.
-- depends: 0044.waits

alter table alert_history drop constraint alert_history_event_check;
alter table alert_history add constraint alert_history_event_check check (event in
    ('raised', 'escalated', 'lowered', 'confirmed', 'withheld', 'told', 'called', 'acknowledged', 'assigned', 'commented',
     'cleared', 'retracted', 'published', 'expiring', 'lapsed', 'in_trial'));
-- Whatever dies and whoever else looks: once for each notice (rule_version is public_notice:ID), once for each trial.
create unique index alert_history_said_once on alert_history (alert_id, event, rule_version)
    where event in ('expiring', 'lapsed', 'in_trial');

alter table standing_approval add column renews boolean not null default false;
comment on column standing_approval.renews is 'whether a notice of it is told anew, with the newest reading, before its time is over, for as long as the level stands. What was signed without it does not';
alter table public_notice drop constraint public_notice_standing_step_check;
alter table public_notice add constraint public_notice_standing_step_check
    check (standing_step in ('reached', 'renewed', 'ended'));

alter table station_trial add column opened_at timestamptz;
update station_trial set opened_at = greatest(starts_at, entered_at);
comment on column station_trial.opened_at is 'when the alerts process had written it to the alerts that were open when it began, and told who is on duty';
grant update (opened_at) on station_trial to mimamori_worker;

-- Ten thousand of its rows are written anew with each batch, and nothing of them is in an index but their key: where a
-- page has room for a new version beside the old one, the index is left alone. For pages to come.
alter table alert_judged set (fillfactor = 50);
