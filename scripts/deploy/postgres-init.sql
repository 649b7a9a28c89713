-- What the image of PostgreSQL runs when it makes the database: the issuers' role owns it, and may do nothing else.
\getenv password POSTGRES_PASSWORD
CREATE ROLE signet LOGIN PASSWORD :'password';
CREATE DATABASE signet OWNER signet;
ALTER ROLE postgres PASSWORD NULL;
