-- The outbox wakes its reader for a row, not for a statement: the reader's own look for somebody who waits in vain inserts
-- nothing most of the time, and woke itself by that without end.
-- depends: 0039.field

drop trigger outbox_written on outbox;
create trigger outbox_written after insert on outbox for each row execute function outbox_written();
