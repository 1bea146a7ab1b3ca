insert into longhaul.things values (1, 'one'), (2, 'it''s two');
