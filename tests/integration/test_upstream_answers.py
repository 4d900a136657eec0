"""Answers of a platform above that are no answers, or odd ones: nothing is lost by them, nothing goes up twice as new, and one record that
makes the platform fail holds up its own case alone."""
import json

import pytest
import test_upstream
from harness.process import wait_until
from test_upstream import ASK, books, in_order

county, city = test_upstream.county, test_upstream.city

PAGE = "<!DOCTYPE html><html><body>请先登录 login</body></html>"


@pytest.mark.parametrize("odd", [
    {"text": PAGE}, {"text": "\ufeff" + PAGE, "headers": {"Content-Type": "text/html"}}, {"text": ""}, {"text": "[]"}, {"text": "null"}, {"text": '{"code": 0'},
    {"text": '{"code": 0, "receipt": "R1"}', "cut": True}, {"text": '{"code": 0}', "headers": {"Content-Encoding": "gzip"}},
    {"status": 302, "headers": {"Location": "http://127.0.0.1:1/steps"}}, {"status": 200, "hex": "ff00fe"}, {"status": 503, "text": "系统繁忙" * 300},
    {"status": 429}, {"status": 429, "headers": {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}}, {"status": 429, "headers": {"Retry-After": "-1"}},
    {"status": 429, "headers": {"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}}, {"status": 429, "headers": {"Retry-After": "1e999"}}],
    ids=lambda odd: json.dumps(odd, ensure_ascii=True)[:60])
def test_no_answer_is_no_receipt(county, city, odd):
    """Whether it has stored what it does not answer or not: the record waits, is tried later, and is there once in the end."""
    county.database.value("SELECT test.drive('accepted')")
    path = county.target(city.url)
    city.behave(odd=odd, stores=True)
    county.send(path, code=1)
    [(state, answer, wait_s, pause_s)] = county.database.query(
        "SELECT r.state, r.answer, extract(epoch FROM r.next_attempt_at - clock_timestamp())::float8,"
        " extract(epoch FROM nullif(t.paused_until, '-infinity') - clock_timestamp())::float8"
        " FROM onemap.exchange_record r JOIN onemap.exchange_target t USING (target) ORDER BY r.id LIMIT 1")
    assert state == "waiting" and answer and wait_s < 5 and (pause_s or 0) < 5, (state, answer, wait_s, pause_s)
    assert county.database.value("SELECT count(*) FROM onemap.exchange_record WHERE attempts > 0") == 1, "nothing behind it has gone"
    city.behave()
    county.operator.run("upstream", "retry", "--target", "city")
    assert county.send(path).stdout == "city: 2 accepted, 0 refused, 0 to be tried again\n"
    assert len(city.stored()) == 2 and city.repetitions() == 1 and county.differences() == []


@pytest.mark.parametrize("odd", [{"text": '{"code": 0, "receipt": "R"}', "gzip": True}, {"text": '\ufeff{"code": 0, "receipt": "R"}'},
                                 {"hex": '{"code": 0, "receipt": "R", "message": "'.encode().hex() + "b3c9b9a6" + '"}'.encode().hex()}],
                         ids=["gzip", "BOM", "GBK"])
def test_odd_answers_are_read(county, city, odd):
    county.database.value("SELECT test.drive('reported')")
    path = county.target(city.url)
    city.behave(odd=odd)
    assert county.send(path).stdout == "city: 1 accepted, 0 refused, 0 to be tried again\n"
    assert county.database.value("SELECT receipt FROM onemap.exchange_record") == "R"


def test_refusal_then_success(county, city):
    """A platform that thinks better of it: the receipt counts, and the record is there once."""
    code = county.database.value("SELECT test.drive('accepted')")
    path = county.target(city.url)
    city.behave(refuse=f"{code}/1")
    county.send(path, code=1)
    city.behave()
    county.operator.run("upstream", "retry", "--target", "city")
    assert county.send(path).stdout == "city: 2 accepted, 0 refused, 0 to be tried again\n"
    assert [one["step"] for one in city.stored()] == [1, 2] and city.repetitions() == 0 and county.differences() == []


@pytest.mark.parametrize("batch", [1, 8])
def test_one_record_that_makes_it_fail(county, city, batch):
    """The oldest of all: the platform answers 500 to whatever message it is in. All other cases go up meanwhile."""
    poison, *others = (county.database.value("SELECT test.drive('accepted')") for _ in range(6))
    more = {"to": {"batch": batch, "records": "records"}, "answer": {"records": "results", "number": "number"}} if batch > 1 else {}
    path = county.target(city.url, **more)
    city.behave(fails=f"{poison}/1")
    sender = county.sender(path)
    sender.start()
    wait_until(lambda: books(county) == 2, 120, f"all but the one case are accepted (log: {sender.log_path})")
    sender.check_running()
    assert sorted({one["case"] for one in city.stored()}) == sorted(others) and in_order(city.stored())
    assert county.database.query("SELECT state FROM onemap.exchange_record WHERE record = %s", f"{poison}/1") == [("waiting",)]
    city.behave()
    county.operator.run("upstream", "retry", "--target", "city")
    wait_until(lambda: books(county) == 0, 60, f"it goes up, too (log: {sender.log_path})")
    assert sender.end() == 0, sender.log_tail()
    assert len(city.stored()) == 12 and county.differences() == []


@pytest.mark.parametrize("length", [2, 7])
def test_pages_that_go_round(county, city, length):
    """Asked what it has, the platform's next page leads back: that is no answer, and reports go on."""
    county.database.value("SELECT test.drive('dispatched')")
    path = county.target(city.url, ask=ASK)
    city.behave(round=length)
    assert county.send(path).stdout == "city: 4 accepted, 0 refused, 0 to be tried again\n"
    assert length <= len(city.asked()) <= 3 * length + 3
    assert county.database.query("SELECT asked_at FROM onemap.exchange_target") == [(None,)] and county.differences() == []
    city.behave()
    county.database.query("UPDATE onemap.exchange_target SET ask_next_at = '-infinity'")
    county.send(path)
    assert county.database.value("SELECT asked_at IS NOT NULL FROM onemap.exchange_target") and county.differences() == []


@pytest.mark.parametrize("odd", [{"hex": b'{"list": [{"lsh": "\xba\xc5", "zy": "\xff\\u0007"}]}'.hex()}, {"text": PAGE}, {"text": '{"list": ['}, {"text": '{"list": {}}'}],
                         ids=["GBK", "page", "cut", "no list"])
def test_odd_answers_to_what_it_has(county, city, odd):
    """Whatever a platform says that it has: reports go on, and what can be read is told."""
    county.database.value("SELECT test.drive('dispatched')")
    path = county.target(city.url, ask=ASK)
    city.behave(asked_odd=odd)
    assert county.send(path).stdout == "city: 4 accepted, 0 refused, 0 to be tried again\n"
    assert [one["difference"] for one in county.differences()] == (["unknown"] if "hex" in odd else [])


def test_numbers_of_19_digits(county, city):
    """A platform's receipts, numbers and pages may be whole numbers that no double holds: none becomes another."""
    county.database.value("SELECT test.drive('reported')")
    path = county.target(city.url, ask=ASK)
    city.behave(odd={"text": '{"code": 0, "receipt": 1234567890123456789}'},
                asked_odd={"text": '{"list": [{"lsh": 9007199254740993, "zy": ""}, {"lsh": 20102, "zy": ""}], "more": 1844674407370955161}'})
    assert county.send(path).stdout == "city: 1 accepted, 0 refused, 0 to be tried again\n"
    assert county.database.value("SELECT receipt FROM onemap.exchange_record") == "1234567890123456789"
    assert {"9007199254740993", "20102"} <= {one["record"] for one in county.differences()}
    assert city.asked()[-1].endswith("page=1844674407370955161")
