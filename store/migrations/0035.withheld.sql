-- Who is not written to yet: what one doubtful reading says waits for the next one, what is said during work for its end.
-- depends: 0034.headquarters

alter table alert add column confirmed_level smallint check (confirmed_level between 1 and 5);
alter table alert add column withheld text check (withheld in ('unconfirmed', 'work', 'released', 'dismissed'));
alter table alert add column withheld_at timestamptz;
alter table alert add constraint alert_withheld_since check ((withheld is null) = (withheld_at is null));
comment on column alert.confirmed_level is 'how much of level does not rest on one doubtful reading alone; null where all of it does, and for rules without levels';
comment on column alert.withheld is 'why nobody is written to yet of what it has come to, since withheld_at (town time): one doubtful reading alone says it, or somebody works at the device; released, dismissed: a person says that it is so, or not, and the evaluator has still to do what follows';
update alert set confirmed_level = level where rule = 'level';
create index alert_waiting on alert (alert_id) where withheld is not null and cleared_at is null;

alter table alert_history add column unconfirmed boolean not null default false;
alter table alert_history add column reason text check (reason in
    ('unconfirmed', 'work', 'highest', 'neighbour', 'rain', 'silent', 'waited', 'highest_at_work', 'revised'));
comment on column alert_history.unconfirmed is 'upwards: one doubtful reading alone says it; lowered and cleared: what is taken back rested on one';
comment on column alert_history.reason is 'withheld: why; of what was told: why it was, though it is unconfirmed or somebody works at the device. revised: no new reading decided, but what was said later of an old one';
alter table alert_history drop constraint alert_history_event_check;
alter table alert_history add constraint alert_history_event_check check (event in
    ('raised', 'escalated', 'lowered', 'confirmed', 'withheld', 'told', 'called', 'acknowledged', 'commented', 'cleared'));

alter table station add column confirm_within interval not null default '5 minutes' check (confirm_within >= interval '0');
alter table station add column confirming_rain double precision not null default 10 check (confirming_rain > 0);
comment on column station.confirm_within is 'for at most so long people are not written to of what one doubtful reading alone says';
comment on column station.confirming_rain is 'mm in an hour at a rain gauge of the same river: then one doubtful reading is believed at once';

grant update (confirmed_level, withheld, withheld_at) on alert to mimamori_api;
