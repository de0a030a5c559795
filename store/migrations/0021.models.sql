-- Device models that a town brings along: manufacturers' codecs, what their fields mean, and who looks after what.
-- depends: 0020.confirmed_days

-- Whoever changes what ingest knows of a town tells its workers, by the municipality's id.
create function directory_changed() returns trigger language plpgsql as $$
begin
    perform pg_notify('directory', coalesce(new.municipality_id, old.municipality_id)::text);
    return null;
end $$;
comment on function directory_changed is 'for each row of a table that store.registry.load_directory reads';

-- --- codecs ------------------------------------------------------------------------------------------------

create table codec (
    codec_id        integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    sha256          bytea not null,
    file_name       text not null check (file_name <> ''),
    source          text not null check (octet_length(source) <= 1048576),
    licence         text,
    origin          text not null check (origin <> ''),
    vectors         jsonb not null default '[]' check (jsonb_typeof(vectors) = 'array'),
    result          jsonb not null default '{}' check (jsonb_typeof(result) = 'object'),
    stateless       boolean not null default false,
    uploaded_at     timestamptz not null,
    user_id         integer references app_user,
    unique (municipality_id, sha256),
    unique (municipality_id, codec_id),
    check (sha256 = sha256(convert_to(source, 'UTF8')))
);
comment on table codec is 'a manufacturer''s JavaScript as a person of this municipality brought it: never changed; another version is another row';
comment on column codec.licence is 'what its file or folder says of it; null: it says nothing';
comment on column codec.origin is 'where it came from, in words: a person''s upload, a folder';
comment on column codec.vectors is 'examples that came with it: [{name, bytes (hex), port, expected}, ...]';
comment on column codec.result is 'what came of them when it was uploaded: {passed, failed, failures: [...]}';
comment on column codec.stateless is 'its vectors show that one decode leaves nothing behind for the next, so that its context may be used again';
comment on column codec.uploaded_at is 'town time; user_id null: somebody with the command line';

-- --- device models -----------------------------------------------------------------------------------------

create table device_model (
    device_model_id integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    name            text not null check (name ~ '^[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*$' and length(name) <= 100),
    title           text not null check (title <> ''),
    title_en        text not null check (title_en <> ''),
    manufacturer    text not null default '',
    codec_id        integer,
    builtin         text,
    battery_field   text,
    battery_unit    text,
    battery_low     double precision,
    unique (municipality_id, name),
    unique (municipality_id, device_model_id),
    foreign key (municipality_id, codec_id) references codec (municipality_id, codec_id),
    check (num_nonnulls(codec_id, builtin) <= 1),
    check ((battery_field is null) = (battery_unit is null)),
    check (battery_low is null or battery_field is not null)
);
comment on table device_model is 'a model that is not built in, VENDOR/MODEL. It reads by its codec, by a built-in codec (builtin), or, where both are null, takes the values that the network itself has decoded';
comment on column device_model.battery_field is 'the field that tells the battery, in battery_unit (UCUM: V, mV, %)';
comment on column device_model.battery_low is 'in battery_unit: below it the battery should be exchanged';

create table device_model_codec (
    device_model_codec_id integer generated always as identity primary key,
    municipality_id       integer not null references municipality,
    device_model_id       integer not null,
    codec_id              integer,
    builtin               text,
    pinned_at             timestamptz not null,
    user_id               integer references app_user,
    foreign key (municipality_id, device_model_id) references device_model (municipality_id, device_model_id)
        on delete cascade,
    foreign key (municipality_id, codec_id) references codec (municipality_id, codec_id)
);
comment on table device_model_codec is 'append-only: by what a model has read from when on, and who said so (null: somebody with the command line); town time';
create index device_model_codec_of on device_model_codec (device_model_id, device_model_codec_id);

create table model_field (
    device_model_id   integer not null,
    municipality_id   integer not null references municipality,
    field             text not null check (field <> '' and length(field) <= 200),
    unit              text,
    observed_property text,
    scale             double precision,
    value_offset      double precision not null default 0,
    channel           text not null default '',
    modulus           integer check (modulus > 1),
    primary key (device_model_id, field),
    foreign key (municipality_id, device_model_id) references device_model (municipality_id, device_model_id)
        on delete cascade
);
comment on table model_field is 'what a field of a model means: the default of each of its devices';
comment on column model_field.unit is 'UCUM, of the field as the codec gives it; null: not known';
comment on column model_field.observed_property is 'null: the field is known and not stored';
comment on column model_field.scale is 'value = field * scale + value_offset; null: the unit of the field is converted into that of the property, and value_offset is added';
comment on column model_field.channel is 'the input of a logger that gives it; empty: the device''s own station (attachment_channel)';
comment on column model_field.modulus is 'the field counts on from message to message and is 0 again at this count; null: it is a measurement by itself';

-- --- what a device does otherwise than its model, where it is mounted --------------------------------------

create table attachment_field (
    attachment_id     integer not null references attachment on delete cascade,
    municipality_id   integer not null references municipality,
    field             text not null check (field <> '' and length(field) <= 200),
    unit              text,
    observed_property text,
    scale             double precision,
    value_offset      double precision not null default 0,
    channel           text not null default '',
    primary key (attachment_id, field)
);
comment on table attachment_field is 'the device''s own mapping at this place, as a person or the town file said it: it goes before that of its model, field by field. What ingest reads is field_mapping, worked out of both';
comment on column attachment_field.unit is 'as in model_field, like the rest; null: that of the model';

create table attachment_channel (
    attachment_id   integer not null references attachment on delete cascade,
    municipality_id integer not null references municipality,
    channel         text not null check (channel <> '' and length(channel) <= 40),
    station_id      integer not null references station,
    primary key (attachment_id, channel)
);
comment on table attachment_channel is 'an input of a logger that watches another station than the one where the logger hangs';

insert into attachment_field (attachment_id, municipality_id, field, observed_property, scale, value_offset)
select f.attachment_id, f.municipality_id, f.field, d.observed_property, f.scale, f.value_offset
from field_mapping f join datastream d using (datastream_id);

-- --- who looks after a station or device -------------------------------------------------------------------

alter table station add column managed_by text not null default 'file' check (managed_by in ('file', 'people'));
alter table device add column managed_by text not null default 'file' check (managed_by in ('file', 'people'));
comment on column station.managed_by is 'people: somebody made or changed it on a page or by a list; the town file then leaves it as it is, with its datastreams, tank, block and river';
comment on column device.managed_by is 'people: somebody made or changed it on a page or by a list; the town file then leaves it as it is, with where it is mounted and what it measures';

-- --- who may do what ---------------------------------------------------------------------------------------

do $$
declare
    t text;
begin
    foreach t in array array['codec', 'device_model', 'device_model_codec', 'model_field', 'attachment_field',
                             'attachment_channel'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select on %I to mimamori_worker, mimamori_api', t);
    end loop;
end $$;

-- A codec is brought, and taken away again where no model has ever read by it (the references hold it); never changed.
grant insert, delete on codec to mimamori_api;
grant insert, update, delete on device_model, model_field, attachment_field, attachment_channel to mimamori_api;
grant insert on device_model_codec to mimamori_api;

-- Stations and devices are registered on pages too. What has observations is never removed.
grant insert, update (name, name_en, latitude, longitude, managed_by) on station to mimamori_api;
grant insert, update (model, silence_after, managed_by) on device to mimamori_api;
grant insert, update (step, range_low, range_high, max_rate, stuck_after) on datastream to mimamori_api;
grant insert, update (attached_from, attached_to) on attachment to mimamori_api;
grant insert, update, delete on field_mapping, service_tank, block_inlet, station_river to mimamori_api;
grant insert on threshold_set, threshold_level to mimamori_api;
grant usage on all sequences in schema public to mimamori_worker, mimamori_api;

create trigger directory after insert or delete or update of code on station
    for each row execute function directory_changed();
create trigger directory after insert or delete or update of key, model, silence_after on device
    for each row execute function directory_changed();
create trigger directory after insert or delete or update on datastream
    for each row execute function directory_changed();
create trigger directory after insert or delete or update on attachment
    for each row execute function directory_changed();
create trigger directory after insert or delete or update on field_mapping
    for each row execute function directory_changed();
create trigger directory after insert or delete or update on device_model
    for each row execute function directory_changed();
create trigger directory after insert or delete or update on model_field
    for each row execute function directory_changed();
