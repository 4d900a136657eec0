"""What a transaction left in onemap.outbox reaches the broker at least once, and is marked only then."""
import json

from harness.process import wait_until


def put(database_or_cursor, vendor, names, subsystem="dust"):
    """Rows as the writer makes them, in one transaction; returns their ids."""
    rows = [(f"cityhub/v1/{subsystem}/{vendor}/receipt", json.dumps({"receipts": [{"message": name}]})) for name in names]
    sql = ("INSERT INTO onemap.outbox (topic, payload) SELECT * FROM unnest(%s::text[], %s::text[]) RETURNING id")
    arguments = ([topic for topic, _ in rows], [payload for _, payload in rows])
    if hasattr(database_or_cursor, "execute"):
        database_or_cursor.execute(sql, arguments)
        return [row[0] for row in database_or_cursor.fetchall()]
    return [row[0] for row in database_or_cursor.query(sql, *arguments)]


def wait_all_sent(database, timeout_s=60):
    wait_until(lambda: database.value("SELECT count(*) FROM onemap.outbox WHERE sent_at IS NULL") == 0, timeout_s,
               "everything in the outbox is marked as sent")


def counts(client):
    with client.lock:
        names = [receipt["message"] for receipt in client.receipts]
    return {name: names.count(name) for name in set(names)}


def test_many_rows_arrive_once(hub, database, vendor_client):
    client = vendor_client("dust")
    names = [f"row-{i}" for i in range(3000)]  # three times what may be in flight
    put(database, "tester", names)
    wait_all_sent(database)
    wait_until(lambda: len(client.receipts) >= len(names), 30, "all rows are at the vendor")
    assert counts(client) == dict.fromkeys(names, 1)
    assert [receipt["message"] for receipt in client.receipts] == names, "the order of the ids is kept"
    assert hub.metric("cityhub_outbox_sent_total") == len(names)
    assert hub.metric("cityhub_outbox_failures_total") == 0


def test_a_smaller_id_that_commits_later(hub, database, vendor_client):
    client = vendor_client("dust")
    slow = database.connect(autocommit=False)
    try:
        with slow.cursor() as cursor:
            first, = put(cursor, "tester", ["slow"])
            second, = put(database, "tester", ["quick"])
            assert first < second
            client.receipt("quick")
            wait_until(lambda: database.value("SELECT sent_at FROM onemap.outbox WHERE id = %s", second), 30, "it is marked")
        slow.commit()
    finally:
        slow.close()
    client.receipt("slow")
    wait_all_sent(database)
    assert counts(client) == {"slow": 1, "quick": 1}


def test_what_the_broker_refuses_holds_up_nothing(hub, database, vendor_client):
    client = vendor_client("dust")
    bad = [row[0] for row in database.query(
        "INSERT INTO onemap.outbox (topic, payload) VALUES ('a/#/b', '{}'), ('', '{}') RETURNING id")]
    put(database, "tester", ["good"])
    client.receipt("good")

    def noted():
        rows = database.query("SELECT sent_at, attempts, last_error FROM onemap.outbox WHERE id = ANY (%s)", bad)
        return all(sent is None and attempts == 1 and error for sent, attempts, error in rows)
    wait_until(noted, 30, "the refusals are in the rows")
    assert hub.metric("cityhub_outbox_failures_total") == 2
    put(database, "tester", ["later"])
    client.receipt("later")


def test_more_refused_than_may_be_in_flight(hub, database, vendor_client):
    """They wait in the database, not in the hub's bounded number of places: nobody else waits with them."""
    client = vendor_client("dust")
    database.query("INSERT INTO onemap.outbox (topic, payload) SELECT 'a/#/' || i, '{}' FROM generate_series(1, 1500) i")
    put(database, "tester", ["good"])
    client.receipt("good")
    wait_until(lambda: database.value("SELECT count(*) FROM onemap.outbox WHERE attempts = 1 AND retry_at > now()") == 1500, 30,
               "all refusals are in the rows, and when to try again")
    database.query("UPDATE onemap.outbox SET topic = 'cityhub/v1/dust/tester/receipt', payload = '{\"receipts\":[{\"message\":\"mended\"}]}',"
                   " retry_at = now() WHERE topic = 'a/#/700'")
    client.receipt("mended")
    assert database.value("SELECT count(*) FROM onemap.outbox WHERE attempts <> 1 AND topic LIKE 'a/%%'") == 0


def test_broker_database_and_hub_restart_in_the_middle(hub, database, broker, cluster, vendor_client):
    client = vendor_client("dust", session_expiry_s=600)
    put(database, "tester", [f"a-{i}" for i in range(2000)])
    broker.restart()
    put(database, "tester", [f"b-{i}" for i in range(2000)])
    wait_until(lambda: len(client.receipts) > 100, 60, "sending goes on")
    cluster.restart("immediate")
    put(database, "tester", [f"c-{i}" for i in range(2000)])
    hub.kill()
    hub.start()
    wait_all_sent(database)
    wanted = {f"{letter}-{i}" for letter in "abc" for i in range(2000)}
    wait_until(lambda: set(counts(client)) >= wanted, 60, "all rows are at the vendor")
    assert set(counts(client)) == wanted
    print(f"{len(client.receipts) - len(wanted)} of {len(wanted)} rows came more than once")
