/* signature.c: the parts that the target's file names, in its order, with line feeds between them, signed. */
#include "hub/exchange/signature.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <sodium.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/member.h"

enum { SIGNATURE_BYTES_MAX = 512 };

static void part_add(struct buffer *content, const struct signed_parts *parts, const char *name) {
    buffer_text(content, content->length == 0 ? "" : "\n");
    buffer_text(content, strcmp(name, "time") == 0    ? parts->time
                         : strcmp(name, "nonce") == 0 ? parts->nonce
                         : strcmp(name, "path") == 0  ? parts->path
                                                      : parts->body);
}

static void content_make(const struct platform *target, const struct signed_parts *parts, struct buffer *content) {
    const cJSON *named = member_get(target->sign, "parts"), *part;
    if (named == NULL) {
        part_add(content, parts, "time");
        part_add(content, parts, "path");
        part_add(content, parts, "body");
    }
    cJSON_ArrayForEach(part, named) {
        part_add(content, parts, cJSON_GetStringValue(part));
    }
}

static size_t hmac(const struct platform *target, const EVP_MD *digest, const struct buffer *content,
                   unsigned char *out) {
    unsigned length = 0;
    if (HMAC(digest, target->sign_secret, (int)strlen(target->sign_secret), (const unsigned char *)content->data,
             content->length, out, &length) == NULL) {
        return 0;
    }
    return length;
}

/* GB/T 32918 with SM3 over Z and the content; the identity is the standard's default unless the file says another. */
static size_t sm2(const struct platform *target, const struct buffer *content, unsigned char *out) {
    const char *identity = member_text(target->sign, "identity");
    size_t length = SIGNATURE_BYTES_MAX;
    BIO *pem = BIO_new_mem_buf(target->sign_secret, -1);
    EVP_PKEY *key = pem == NULL ? NULL : PEM_read_bio_PrivateKey(pem, NULL, NULL, NULL);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_context = key == NULL || !EVP_PKEY_is_a(key, "SM2") ? NULL : EVP_PKEY_CTX_new(key, NULL);
    identity = *identity == '\0' ? "1234567812345678" : identity;
    bool made = context != NULL && key_context != NULL &&
                EVP_PKEY_CTX_set1_id(key_context, identity, (int)strlen(identity)) > 0;
    if (made) {
        EVP_MD_CTX_set_pkey_ctx(context, key_context);
        made = EVP_DigestSignInit(context, NULL, EVP_sm3(), NULL, key) == 1 &&
               EVP_DigestSign(context, out, &length, (const unsigned char *)content->data, content->length) == 1;
    }
    EVP_MD_CTX_free(context);
    EVP_PKEY_CTX_free(key_context);
    EVP_PKEY_free(key);
    BIO_free(pem);
    return made ? length : 0;
}

int signature_make(const struct platform *target, const struct signed_parts *parts, struct buffer *text) {
    unsigned char bytes[SIGNATURE_BYTES_MAX];
    char shown[2 * SIGNATURE_BYTES_MAX + 4];
    struct buffer content = {0};
    size_t length = 0;
    content_make(target, parts, &content);
    if (buffer_string(&content) == NULL) {
        buffer_free(&content);
        return CH_EMEMORY;
    }
    switch (target->signature) {
    case PLATFORM_UNSIGNED:
        break;
    case PLATFORM_HMAC_SHA256:
        length = hmac(target, EVP_sha256(), &content, bytes);
        break;
    case PLATFORM_HMAC_SM3:
        length = hmac(target, EVP_sm3(), &content, bytes);
        break;
    case PLATFORM_SM2:
        length = sm2(target, &content, bytes);
        break;
    }
    buffer_free(&content);
    if (length == 0) {
        return CH_EINVAL;
    }
    if (strcmp(member_text(target->sign, "encoding"), "base64") == 0) {
        sodium_bin2base64(shown, sizeof shown, bytes, length, sodium_base64_VARIANT_ORIGINAL);
    } else {
        sodium_bin2hex(shown, sizeof shown, bytes, length);
    }
    buffer_text(text, shown);
    return text->failed ? CH_EMEMORY : 0;
}
