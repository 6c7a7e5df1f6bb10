#!/bin/bash
# Makes a database for each service, and a role that owns it and can't enter any other.
# The image runs this once, when the data folder is new.
set -euo pipefail

run() {
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres "$@"
}

run --command 'REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC'
for service in order stock payment; do
    run --set "name=orderly_$service" --set "file=/run/secrets/$service" <<'SQL'
\set password `cat :file`
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C';
REVOKE CONNECT, TEMPORARY ON DATABASE :"name" FROM PUBLIC;
SQL
done
