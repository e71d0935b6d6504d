-- Prefect keeps its own state apart from the record of business facts; its server needs pg_trgm.
CREATE DATABASE prefect OWNER plimsoll;
\connect prefect
CREATE EXTENSION IF NOT EXISTS pg_trgm;
