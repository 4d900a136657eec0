"""What the tests run the real hub with: a private PostgreSQL cluster, a private mosquitto, `cityhub` itself and vendors'
clients that know nothing but the published contract (MQTT 5, the .proto files). Everything listens on 127.0.0.1, on
ports that were free, and ends with the test session."""
