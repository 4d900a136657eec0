-- The hub's login serves requests under the API's role, and may do no more for them than that role may.
GRANT cityhub_api TO cityhub_hub;
