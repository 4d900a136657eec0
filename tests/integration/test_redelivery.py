"""What comes twice counts once: hub and database are killed, mosquitto is stopped, at random; then it is counted from outside. The same
with a RabbitMQ that is killed: test_rabbitmq.py."""
from harness.books import kill_at_random


def test_killed_at_random(site, hub, vendor_client, cluster):
    kill_at_random(site, cluster, vendor_client("dust", session_expiry_s=3600), kills=12, broker_dies=False)
