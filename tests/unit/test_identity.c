/* test_identity.c: what a request says of who sends it, how long somebody must wait, and which passwords are taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "hub/base/secret.h"
#include "hub/http/client.h"
#include "hub/http/credential.h"
#include "hub/http/login_throttle.h"
#include "hub/http/throttle.h"

static void test_credential(void **state) {
    (void)state;
    static const struct {
        const char *header;
        enum credential_kind kind;
        const char *secret;
    } cases[] = {
        {"Bearer cht_abc-DEF_123", CREDENTIAL_BEARER, "cht_abc-DEF_123"},
        {"bearer   x  ", CREDENTIAL_BEARER, "x"},
        {"Bearer", CREDENTIAL_FLAWED, ""},
        {"Bearer ", CREDENTIAL_FLAWED, ""},
        {"Bearer\tx", CREDENTIAL_FLAWED, ""},
        {"Bearer a b", CREDENTIAL_FLAWED, ""},
        {"Bearer a=", CREDENTIAL_FLAWED, ""},
        {"Bearer \xe6\xb1\x89", CREDENTIAL_FLAWED, ""},
        {"Basic dTpjaHRfeA==", CREDENTIAL_BASIC, "cht_x"}, /* u:cht_x */
        {"BASIC OmNodF94", CREDENTIAL_BASIC, "cht_x"},     /* :cht_x */
        {"Basic dTpjaHRfeA", CREDENTIAL_FLAWED, ""},       /* without its padding */
        {"Basic dTpjaHRfeA==x", CREDENTIAL_FLAWED, ""},    /* with more behind it */
        {"Basic dTo=", CREDENTIAL_FLAWED, ""},             /* u: */
        {"Basic dQ==", CREDENTIAL_FLAWED, ""},             /* u */
        {"Basic dTphOmI=", CREDENTIAL_FLAWED, ""},         /* u:a:b: a colon is in no token */
        {"Basic dTphAGI=", CREDENTIAL_FLAWED, ""},         /* u:a NUL b */
        {"Digest x", CREDENTIAL_FLAWED, ""},
        {"", CREDENTIAL_FLAWED, ""},
    };
    char secret[CREDENTIAL_SECRET_MAX], header[512] = "Bearer ";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("%s\n", cases[i].header);
        assert_int_equal(credential_read(cases[i].header, secret), cases[i].kind);
        assert_string_equal(secret, cases[i].secret);
    }
    memset(header + 7, 'x', 127);
    assert_int_equal(credential_read(header, secret), CREDENTIAL_BEARER);
    memset(header + 7, 'x', 128);
    assert_int_equal(credential_read(header, secret), CREDENTIAL_FLAWED);
}

static void test_forwarded(void **state) {
    (void)state;
    static const struct {
        const char *forwarded, *address; /* NULL = none that can be believed */
    } cases[] = {
        {"10.1.2.3", "10.1.2.3"},
        {"6.6.6.6, 10.1.2.3", "10.1.2.3"}, /* the first is whatever the client wrote */
        {"6.6.6.6,10.1.2.3 ,\t127.0.0.1, 10.0.0.9", "10.1.2.3"},
        {" 2001:db8::1 ", "2001:db8::1"},
        {"::ffff:10.1.2.3", "10.1.2.3"},
        {"127.0.0.1", NULL},
        {"10.1.2.3, unknown", NULL},
        {"10.1.2.3:99", NULL},
        {"10.1.2.3,", NULL},
        {",", NULL},
        {"", NULL},
    };
    char address[INET6_ADDRSTRLEN];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("%s\n", cases[i].forwarded);
        bool told = client_forwarded(cases[i].forwarded, " 10.0.0.9  127.0.0.1 ", address);
        assert_int_equal(told, cases[i].address != NULL);
        if (told) {
            assert_string_equal(address, cases[i].address);
        }
    }
}

static void test_origins(void **state) {
    (void)state;
    static char none[] = "", two[] = " https://Map.example.cn  http://10.1.1.1:8080 ", tls[] = "https://a https://b";
    struct config config = {.http_origins = none};
    assert_true(client_origin(&config, 8080, "http://localhost:8080"));
    assert_true(client_origin(&config, 8080, "http://127.0.0.1:8080"));
    assert_true(client_origin(&config, 8080, "http://[::1]:8080"));
    assert_true(client_origin(&config, 80, "http://localhost"));
    assert_false(client_origin(&config, 8080, "http://localhost"));
    assert_false(client_origin(&config, 8080, "https://localhost:8080"));
    assert_false(client_origin(&config, 8080, "http://localhost:80800"));
    assert_false(client_origin(&config, 8080, "null"));
    assert_false(client_all_secure(&config));
    config.http_origins = two;
    assert_true(client_origin(&config, 8080, "https://map.example.cn"));
    assert_true(client_origin(&config, 8080, "http://10.1.1.1:8080"));
    assert_false(client_origin(&config, 8080, "http://localhost:8080"));
    assert_false(client_origin(&config, 8080, "https://map.example.c"));
    assert_false(client_origin(&config, 8080, "https://map.example.cn.evil"));
    assert_false(client_origin(&config, 8080, ""));
    assert_false(client_all_secure(&config));
    config.http_origins = tls;
    assert_true(client_all_secure(&config));
}

static void test_forwarded_base(void **state) {
    (void)state;
    static const struct {
        const char *scheme, *host, *base;
    } cases[] = {{NULL, "map.example.cn", "http://map.example.cn"},
                 {"https", "map.example.cn", "https://map.example.cn"},
                 {"HTTPS", "10.1.1.1:8443", "https://10.1.1.1:8443"},
                 {"http", "[fd00::1]:80", "http://[fd00::1]:80"},
                 {"https", NULL, ""},
                 {"https", "", ""},
                 {"ftp", "map", ""},
                 {"", "map", ""},
                 {"https", "a b", ""},
                 {"https", "a,b", ""},
                 {"https", "a/b", ""},
                 {"https", "user@map", ""},
                 {"https", "a\"b", ""},
                 {"https", "\xe5\x9c\xb0", ""}};
    char base[CLIENT_BASE_MAX], longest[CLIENT_BASE_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(client_forwarded_base(cases[i].scheme, cases[i].host, base), cases[i].base[0] != '\0');
        assert_string_equal(base, cases[i].base);
    }
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_false(client_forwarded_base("https", longest, base));
    longest[sizeof longest - sizeof "https://"] = '\0';
    assert_true(client_forwarded_base("https", longest, base));
    assert_int_equal(strlen(base), CLIENT_BASE_MAX - 1);
}

static void test_throttle(void **state) {
    (void)state;
    const struct throttle_rule rule = {.free_tries = 2, .longest_ms = 5000, .forgotten_ms = 60000, .keys_max = 3};
    static const uint64_t waits[] = {0, 0, 1000, 2000, 4000, 5000, 5000};
    struct throttle *throttle = throttle_new(&rule);
    uint64_t now = 1000000;
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        throttle_count(throttle, "a", now);
        assert_int_equal(throttle_wait(throttle, "a", now), waits[i]);
        now += waits[i];
        assert_int_equal(throttle_wait(throttle, "a", now), 0);
    }
    throttle_uncount(throttle, "a");
    assert_int_equal(throttle_wait(throttle, "a", now), 0);
    throttle_count(throttle, "a", now + 60000); /* forgotten: the first again */
    assert_int_equal(throttle_wait(throttle, "a", now + 60000), 0);
    now += 60000;
    for (int i = 0; i < 5; i++) {
        throttle_count(throttle, "b", now);
    }
    throttle_forget(throttle, "b");
    assert_int_equal(throttle_wait(throttle, "b", now), 0);
    throttle_uncount(throttle, "never");
    throttle_forget(throttle, "never");
    for (int i = 0; i < 3; i++) {
        throttle_count(throttle, "a", now);
    }
    assert_true(throttle_wait(throttle, "a", now) > 0);
    throttle_count(throttle, "b", now);
    throttle_count(throttle, "c", now);
    throttle_count(throttle, "a", now); /* now b is the oldest */
    for (int i = 0; i < 3; i++) {
        throttle_count(throttle, "b", now);
    }
    throttle_count(throttle, "d", now); /* takes the place of c */
    assert_true(throttle_wait(throttle, "a", now) > 0 && throttle_wait(throttle, "b", now) > 0);
    throttle_count(throttle, "e", now); /* and of a */
    assert_int_equal(throttle_wait(throttle, "a", now), 0);
    assert_true(throttle_wait(throttle, "b", now) > 0);
    throttle_free(throttle);
    throttle_free(NULL);
}

static void test_login_throttle(void **state) {
    (void)state;
    struct login_throttle *throttle = login_throttle_new();
    struct login_try try_ = {.login = "li", .address = "2001:db8:1:2::1"};
    for (int i = 0; i < 6; i++) {
        assert_int_equal(login_throttle_wait(throttle, &try_, 1000), 0);
        login_throttle_count(throttle, &try_, 1000);
    }
    assert_int_equal(login_throttle_wait(throttle, &try_, 1000), 1000);
    login_throttle_forget(throttle, &try_);
    assert_int_equal(login_throttle_wait(throttle, &try_, 1000), 0);
    for (int i = 0; i < 16; i++) { /* 5 were counted of its network, from another address of it */
        snprintf(try_.login, sizeof try_.login, "guess%d", i);
        snprintf(try_.address, sizeof try_.address, "2001:db8:1:2:%d::9", i);
        login_throttle_count(throttle, &try_, 1000);
    }
    assert_int_equal(login_throttle_wait(throttle, &try_, 1000), 1000);
    snprintf(try_.address, sizeof try_.address, "2001:db8:1:3::1");
    assert_int_equal(login_throttle_wait(throttle, &try_, 1000), 0);
    login_throttle_free(throttle);
}

static void test_password(void **state) {
    (void)state;
    static const struct {
        const char *password, *flaw;
    } cases[] = {
        {"correct horse", NULL},
        {"一个很长的口令二〇二六", NULL},
        {"ninechars", "has fewer than 10 characters"},
        {"一二三四五六七八九", "has fewer than 10 characters"},
        {"abababababab", "has fewer than 5 different characters"},
        {"my-LI.SI-password", "has the login in it"},
        {"a tab\tis one too", "is not valid UTF-8, or has a control character"},
        {"\xff\xfe none of it", "is not valid UTF-8, or has a control character"},
    };
    char longest[PASSWORD_BYTES_MAX + 2] = "abcdefgh";
    char hash[PASSWORD_HASH_TEXT];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *flaw = password_flaw(cases[i].password, "li.si");
        if (cases[i].flaw == NULL) {
            assert_null(flaw);
        } else {
            assert_non_null(flaw);
            assert_string_equal(flaw, cases[i].flaw);
        }
    }
    memset(longest + 8, 'x', PASSWORD_BYTES_MAX - 8);
    assert_null(password_flaw(longest, "li.si"));
    longest[PASSWORD_BYTES_MAX] = 'x';
    assert_string_equal(password_flaw(longest, "li.si"), "has more than 256 bytes");
    assert_int_equal(password_hash("correct horse", hash), 0);
    assert_memory_equal(hash, "$argon2id$v=19$m=19456,t=2,p=1$", 31);
    assert_true(password_fits("correct horse", hash));
    assert_false(password_fits("correct horsf", hash));
    assert_false(password_fits("correct horse", "$argon2id$nonsense"));
}

static void test_secret(void **state) {
    (void)state;
    static const unsigned char abc[] = {0xba, 0x78, 0x16, 0xbf}; /* FIPS 180-2, appendix B.1 */
    char one[SECRET_TEXT], two[SECRET_TEXT], token[TOKEN_TEXT];
    unsigned char hash[SECRET_HASH_BYTES];
    assert_int_equal(secret_text(one) | secret_text(two) | secret_token(token), 0);
    assert_int_equal(strlen(one), SECRET_TEXT - 1);
    assert_string_not_equal(one, two);
    assert_int_equal(strlen(token), TOKEN_TEXT - 1);
    assert_memory_equal(token, "cht_", 4);
    secret_hash("abc", 3, hash);
    assert_memory_equal(hash, abc, sizeof abc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_credential),     cmocka_unit_test(test_forwarded), cmocka_unit_test(test_origins),
        cmocka_unit_test(test_forwarded_base), cmocka_unit_test(test_throttle),  cmocka_unit_test(test_login_throttle),
        cmocka_unit_test(test_password),       cmocka_unit_test(test_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
