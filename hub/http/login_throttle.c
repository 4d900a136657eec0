/* login_throttle.c: the two rules. Must never keep a person out for long because of what others try: an account's delay
 * is short, and an address's, behind which a whole office may be, begins late. */
#include "hub/http/login_throttle.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "hub/http/address.h"
#include "hub/http/throttle.h"

struct login_throttle {
    struct throttle *accounts, *addresses;
};

static const struct throttle_rule account_rule = {
    .free_tries = 5, .longest_ms = 30000, .forgotten_ms = 900000, .keys_max = 4096};
static const struct throttle_rule address_rule = {
    .free_tries = 20, .longest_ms = 300000, .forgotten_ms = 900000, .keys_max = 4096};

/* Whoever has IPv6 has 2^64 addresses: their network counts. */
static const char *network(const char *address, char text[static INET6_ADDRSTRLEN]) {
    struct in6_addr six;
    if (inet_pton(AF_INET6, address, &six) != 1) {
        return address;
    }
    six = address_network(&six);
    return inet_ntop(AF_INET6, &six, text, INET6_ADDRSTRLEN);
}

struct login_throttle *login_throttle_new(void) {
    struct login_throttle *throttle = calloc(1, sizeof *throttle);
    if (throttle == NULL) {
        return NULL;
    }
    throttle->accounts = throttle_new(&account_rule);
    throttle->addresses = throttle_new(&address_rule);
    if (throttle->accounts == NULL || throttle->addresses == NULL) {
        login_throttle_free(throttle);
        return NULL;
    }
    return throttle;
}

void login_throttle_free(struct login_throttle *throttle) {
    if (throttle != NULL) {
        throttle_free(throttle->accounts);
        throttle_free(throttle->addresses);
        free(throttle);
    }
}

uint64_t login_throttle_wait(const struct login_throttle *throttle, const struct login_try *try_, uint64_t now_ms) {
    char text[INET6_ADDRSTRLEN];
    uint64_t account = throttle_wait(throttle->accounts, try_->login, now_ms);
    uint64_t address = throttle_wait(throttle->addresses, network(try_->address, text), now_ms);
    return account > address ? account : address;
}

void login_throttle_count(struct login_throttle *throttle, const struct login_try *try_, uint64_t now_ms) {
    char text[INET6_ADDRSTRLEN];
    throttle_count(throttle->accounts, try_->login, now_ms);
    throttle_count(throttle->addresses, network(try_->address, text), now_ms);
}

void login_throttle_forget(struct login_throttle *throttle, const struct login_try *try_) {
    char text[INET6_ADDRSTRLEN];
    throttle_forget(throttle->accounts, try_->login);
    throttle_uncount(throttle->addresses, network(try_->address, text));
}
