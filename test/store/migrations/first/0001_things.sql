-- A table and a function, as real migrations have them.
create table longhaul.things (
  thing_id int primary key,
  name     text not null
);

create function longhaul.thing_count() returns bigint language sql stable as $$
  select count(*) from longhaul.things
$$;
