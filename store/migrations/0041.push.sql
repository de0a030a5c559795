-- Web push: a browser as a contact, and whose account a person is.
-- depends: 0040.outbox_wakes

alter table delivery_channel add column public_key text;
comment on column delivery_channel.public_key is 'of web push: for it browsers allow messages. The private key stays with the alerts process';

alter table person add column user_id integer references app_user;
comment on column person.user_id is 'the account with which they let their own browsers be written to; null: none';
create unique index person_account on person (user_id) where ended_at is null;

alter table contact add column gone_at timestamptz;
alter table contact add column gone_why text check (gone_why in ('refused', 'replaced'));
alter table contact add check ((gone_at is null) = (gone_why is null));
comment on column contact.gone_at is 'town time; nobody is told by it any more, and the pages say so until somebody takes it away';
comment on column contact.gone_why is 'refused: the other side said that there is no such recipient any more; replaced: the same browser was allowed anew, by whomever';

create table push_subscription (
    contact_id      integer primary key references contact,
    municipality_id integer not null references municipality,
    endpoint        text not null check (endpoint like 'https://%' and length(endpoint) <= 1000),
    p256dh          text not null,
    auth            text not null,
    public_key      text not null,
    made_at         timestamptz not null,
    made_by         integer not null references app_user
);
comment on table push_subscription is 'how a browser is written to (RFC 8030, 8291): what stands behind a contact of web push, whose address is a name of the device. Never changed: a browser that is allowed anew is a new contact';
comment on column push_subscription.public_key is 'ours, for which the browser allowed it: messages of another key are refused';
comment on column push_subscription.made_at is 'town time';
create index push_subscription_endpoint on push_subscription (municipality_id, endpoint);

alter table push_subscription enable row level security;
create policy worker on push_subscription to mimamori_worker using (true) with check (true);
create policy tenant on push_subscription to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select on push_subscription to mimamori_worker;
grant select, insert on push_subscription to mimamori_api;
grant update (user_id) on person to mimamori_api;
grant update (gone_at, gone_why) on contact to mimamori_worker, mimamori_api;

-- A person tries one contact of their own: a test without a group, begun at once.
alter table call_test alter column group_id drop not null;
alter table call_test add check (group_id is not null or (user_id is not null and begun_at is not null));
comment on column call_test.group_id is 'null: somebody tries a browser of their own';
