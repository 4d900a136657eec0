/* broker_login.c: vendors' logins at the broker. Must never print a password. */
#include "hub/command/broker_login.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/cli/command.h"
#include "hub/cli/database.h"

enum {
    SALT_BYTES = 12, /* mosquitto 2.0 refuses any other length */
    HASH_BYTES = 64, /* SHA-512 */
    /* mosquitto_passwd's own number. The broker computes it in its only thread at every connect, whoever connects, and
     * for all clients when it reads its files again: 10,000 are 10 ms, so that a hundred wrong logins a second would
     * hold up everybody. A generated password cannot be guessed from a stolen file either way. */
    ITERATIONS = 101,
    PASSWORD_BYTES = 24,
    RABBITMQ_SALT_BYTES = 4,
};

static int hash_for_mosquitto(const char *password, char *hash) {
    unsigned char salt[SALT_BYTES];
    unsigned char digest[HASH_BYTES];
    unsigned char salt_text[17]; /* 12 bytes in base64, and its end */
    unsigned char digest_text[89];
    if (RAND_bytes(salt, SALT_BYTES) != 1 || PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, SALT_BYTES,
                                                               ITERATIONS, EVP_sha512(), HASH_BYTES, digest) != 1) {
        return CH_EIO;
    }
    EVP_EncodeBlock(salt_text, salt, SALT_BYTES);
    EVP_EncodeBlock(digest_text, digest, HASH_BYTES);
    snprintf(hash, BROKER_HASH_TEXT, "$7$%d$%s$%s", ITERATIONS, (char *)salt_text, (char *)digest_text);
    return 0;
}

/* The salt, then SHA-256 of salt and password, in base64. */
static int hash_for_rabbitmq(const char *password, char *hash) {
    unsigned char salted[RABBITMQ_SALT_BYTES + SHA256_DIGEST_LENGTH];
    unsigned length = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context != NULL && RAND_bytes(salted, RABBITMQ_SALT_BYTES) == 1 &&
                EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(context, salted, RABBITMQ_SALT_BYTES) == 1 &&
                EVP_DigestUpdate(context, password, strlen(password)) == 1 &&
                EVP_DigestFinal_ex(context, salted + RABBITMQ_SALT_BYTES, &length) == 1;
    EVP_MD_CTX_free(context);
    EVP_EncodeBlock((unsigned char *)hash, salted, sizeof salted);
    return done ? 0 : CH_EIO;
}

int broker_hash(const struct config *config, const char *password, char hash[BROKER_HASH_TEXT]) {
    int code = config->mqtt_vendor_definitions_file[0] == '\0' ? hash_for_mosquitto(password, hash)
                                                               : hash_for_rabbitmq(password, hash);
    if (code != 0) {
        command_fail("OpenSSL cannot hash the password");
    }
    return code;
}

int broker_password(char password[BROKER_PASSWORD_TEXT]) {
    unsigned char bytes[PASSWORD_BYTES];
    if (RAND_bytes(bytes, PASSWORD_BYTES) != 1) {
        command_fail("OpenSSL has no random numbers");
        return CH_EIO;
    }
    EVP_EncodeBlock((unsigned char *)password, bytes, PASSWORD_BYTES);
    OPENSSL_cleanse(bytes, sizeof bytes);
    for (char *at = password; *at != '\0'; at++) {
        *at = (char)(*at == '+' ? '-' : *at == '/' ? '_' : *at); /* no shell or URL takes offence at these */
    }
    return 0;
}

int broker_login_taken(const struct config *config, PGconn *connection, const char *name) {
    if (strcmp(config->mqtt_username, name) == 0) {
        return 1;
    }
    FILE *file = config->mqtt_vendor_password_file[0] == '\0' ? NULL : fopen(config->mqtt_vendor_password_file, "re");
    if (file == NULL) {
        return 0;
    }
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    while (!found && getline(&line, &size, file) >= 0) {
        found = strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':';
    }
    free(line);
    fclose(file);
    if (!found) {
        return 0;
    }
    char *known = database_text(connection, "SELECT onemap.vendor_is_known($1)", 1, (const char *const[]){name});
    if (known == NULL) {
        return CH_EDATABASE;
    }
    int taken = *known != 't';
    free(known);
    return taken;
}
