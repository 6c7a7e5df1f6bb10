-- Which process noted the suspect: only a note that another one left behind tells of its death.
ALTER TABLE suspects ADD COLUMN process uuid;
