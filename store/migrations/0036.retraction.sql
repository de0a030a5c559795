-- A false alarm taken back, to those whom it reached; and who goes there.
-- depends: 0035.withheld

alter table alert_history drop constraint alert_history_event_check;
alter table alert_history add constraint alert_history_event_check check (event in
    ('raised', 'escalated', 'lowered', 'confirmed', 'withheld', 'told', 'called', 'acknowledged', 'assigned', 'commented',
     'cleared', 'retracted'));
alter table alert_history add column assigned_person integer references person;
comment on column alert_history.assigned_person is 'assigned: who goes there from then on (null: nobody any more); the newest such entry of an alert counts, user_id is who said so';
alter table alert_history add constraint alert_history_assigned check (assigned_person is null or event = 'assigned');
create index alert_history_assigned_of on alert_history (alert_id, alert_history_id desc) where event = 'assigned';

create table alert_retraction (
    alert_id         bigint primary key references alert,
    municipality_id  integer not null references municipality,
    alert_history_id bigint not null unique references alert_history,
    at               timestamptz not null,
    user_id          integer not null references app_user,
    reason           text not null check (reason <> ''),
    was_open         boolean not null,
    reached          integer not null check (reached >= 0),
    withdrawn        integer not null check (withdrawn >= 0),
    counts_again_at  timestamptz,
    counts_again_by  integer references app_user,
    check (counts_again_by is null or counts_again_at is not null)
);
comment on table alert_retraction is 'an alert that was false, said by a person, once: who, when and why. To whom: the outbox rows of alert_history_id; by them everybody whom the alert reached is told';
comment on column alert_retraction.reached is 'channels and addresses that it had reached, or that may have got it; withdrawn: messages that still waited, and go to nobody any more';
comment on column alert_retraction.counts_again_at is 'of observations; until then what was false still stands there, and raises nothing. counts_again_by null: the rule saw it end';
create index alert_retraction_standing on alert_retraction (municipality_id) where counts_again_at is null;

alter table alert_retraction enable row level security;
create policy worker on alert_retraction to mimamori_worker using (true) with check (true);
create policy tenant on alert_retraction to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select, insert, update (counts_again_at, counts_again_by) on alert_retraction to mimamori_api;
grant select, update (counts_again_at) on alert_retraction to mimamori_worker;

alter table outbox add column withdrawn boolean not null default false;
comment on column outbox.withdrawn is 'its alert was retracted before this one was known to have gone out: it is not tried any more. In doubt where begun_at or unsure says that it may have arrived';
-- The oldest message that still waits is asked for all the time, among all that were ever sent.
create index outbox_due on outbox (outbox_id) where sent_at is null and not stood_in;
comment on column outbox.stood_in is 'not tried any more: another way was faster, or it is withdrawn';
grant update (withdrawn, stood_in) on outbox to mimamori_api;
