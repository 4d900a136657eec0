/* test_identity_memo.c: how long an identity is taken without asking, and whose it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "hub/http/identity_memo.h"

static struct identity_memo_key key_of(const char *kind, const char *secret, const char *address) {
    struct identity_memo_key key;
    memset(&key, 0, sizeof key);
    secret_hash(secret, strlen(secret), key.hash);
    memcpy(key.kind, kind, strlen(kind));
    memcpy(key.address, address, strlen(address));
    return key;
}

static bool known(struct identity_memo *memo, const struct identity_memo_key *key, uint64_t now_ms, bool away) {
    const struct identity_memo_entry *entry = identity_memo_take(memo, key, now_ms, away);
    if (entry != NULL) {
        identity_memo_release(entry);
    }
    return entry != NULL;
}

static const struct identity_memo_entry *put(struct identity_memo *memo, const struct identity_memo_key *key,
                                             uint64_t now_ms) {
    return identity_memo_put(memo, key, now_ms, "{\"login\": \"li.si\", \"departments\": [3]}", "read alarm");
}

static void test_time(void **state) {
    (void)state;
    struct identity_memo *memo = identity_memo_new();
    struct identity_memo_key mine = key_of("session", "a", "10.0.0.1"), elsewhere = key_of("session", "a", "10.0.0.2"),
                             token = key_of("token", "a", "10.0.0.1"), other = key_of("session", "b", "10.0.0.1");
    const struct identity_memo_entry *entry = put(memo, &mine, 1000);
    assert_string_equal(entry->rights, "read alarm");
    assert_string_equal(entry->json, "{\"login\": \"li.si\", \"departments\": [3]}");
    assert_true(tile_scope_has(entry->scope, 3) && !tile_scope_has(entry->scope, 4));
    assert_true(known(memo, &mine, 1000, false) && known(memo, &mine, 1000 + IDENTITY_MEMO_RENEW_MS - 1, false));
    /* When it gets old the first who comes asks anew, and the others need not wait for that. */
    assert_false(known(memo, &mine, 1000 + IDENTITY_MEMO_RENEW_MS, false));
    assert_true(known(memo, &mine, 1000 + IDENTITY_MEMO_RENEW_MS, false));
    assert_true(known(memo, &mine, 1000 + IDENTITY_MEMO_MS - 1, false));
    assert_false(known(memo, &mine, 1000 + IDENTITY_MEMO_MS, false));
    assert_false(known(memo, &elsewhere, 1000, false) || known(memo, &token, 1000, false) ||
                 known(memo, &other, 1000, false));
    /* With the database away nobody can be asked; not for ever. */
    assert_true(known(memo, &mine, 1000 + IDENTITY_MEMO_AWAY_MS - 1, true));
    assert_false(known(memo, &mine, 1000 + IDENTITY_MEMO_AWAY_MS, true));
    /* Looking does not make it younger; an answer does. */
    identity_memo_release(put(memo, &mine, 5000));
    assert_false(known(memo, &mine, 5000 + IDENTITY_MEMO_MS - 1, false));
    assert_true(known(memo, &mine, 5000 + IDENTITY_MEMO_MS - 1, false));
    assert_string_equal(entry->rights, "read alarm"); /* whoever has it keeps it */
    identity_memo_clear(memo);
    assert_false(known(memo, &mine, 5000, false));
    identity_memo_release(entry);
    assert_null(identity_memo_put(memo, &mine, 1, "{\"departments\": \"all\"}", "read"));
    assert_false(known(memo, &mine, 1, false));
    identity_memo_free(memo);
}

static void test_bound(void **state) {
    (void)state;
    struct identity_memo *memo = identity_memo_new();
    for (int i = 0; i < IDENTITY_MEMO_MAX + 10; i++) {
        char secret[16];
        snprintf(secret, sizeof secret, "%d", i);
        struct identity_memo_key key = key_of("token", secret, "");
        identity_memo_release(put(memo, &key, 1));
    }
    struct identity_memo_key first = key_of("token", "9", ""), last = key_of("token", "10", "");
    assert_false(known(memo, &first, 1, false));
    assert_true(known(memo, &last, 1, false));
    identity_memo_free(memo);
}

static void test_note(void **state) {
    (void)state;
    struct identity_memo *memo = identity_memo_new();
    struct identity_memo_key mine = key_of("session", "a", "10.0.0.1"), elsewhere = key_of("session", "a", "10.0.0.2"),
                             token = key_of("token", "a", "10.0.0.1"), other = key_of("session", "b", "10.0.0.1");
    assert_true(identity_memo_note(memo, &mine, 1000));
    assert_false(identity_memo_note(memo, &mine, 1000) ||
                 identity_memo_note(memo, &elsewhere, 1000 + IDENTITY_NOTED_MS - 1));
    assert_true(identity_memo_note(memo, &other, 1000));
    assert_true(identity_memo_note(memo, &mine, 1000 + IDENTITY_NOTED_MS));
    identity_memo_clear(memo); /* who wrote something has not been noted by that */
    assert_false(identity_memo_note(memo, &mine, 1001 + IDENTITY_NOTED_MS));
    assert_true(identity_memo_note(memo, &token, 1001 + IDENTITY_NOTED_MS));
    identity_memo_free(memo);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_time), cmocka_unit_test(test_bound),
                                       cmocka_unit_test(test_note)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
