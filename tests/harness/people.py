"""Somebody who is logged in at a hub: an account with posts and a session, both put into the database, so that no password is hashed."""
import hashlib
import itertools
import json
import secrets

import requests

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"
ORIGIN = "http://hub.example"  # a hub that people write to has it in http.origins
numbers = itertools.count(1)


class Visitor:
    """Posts with commas between them; `department` is a code. Answers are in English."""

    def __init__(self, hub, posts="viewer", department=None):
        self.hub, self.login, self.session = hub, f"visitor{next(numbers)}", requests.Session()
        account = {"login": self.login, "name": "某某", "posts": posts, "department": department, "password_hash": HASH}
        hub.database.query("SELECT onemap.user_add(%s)", json.dumps({key: value for key, value in account.items() if value is not None}))
        secret = secrets.token_urlsafe(32)
        hub.database.query("INSERT INTO onemap.session (hash, account_id, expires_at) SELECT %s, a.id, now() + interval '1 hour'"
                           " FROM onemap.account a WHERE a.login = %s", hashlib.sha256(secret.encode()).digest(), self.login)
        self.session.headers.update({"Cookie": f"cityhub_session={secret}", "Origin": ORIGIN, "Accept-Language": "en"})

    def send(self, method, path, **options):
        return self.session.request(method, self.hub.http_url + path, timeout=60, **options)

    def get(self, path, **options):
        return self.send("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.send("POST", path, json=body, **options)
