/* password_input.c: passwords from outside, see password_input.h. Must never print one that was typed. */
#include "hub/command/password_input.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "hub/base/error.h"
#include "hub/base/file.h"
#include "hub/base/member.h"

enum { FILE_MAX = 4096 };

static int take(const char *text, size_t length, char password[static PASSWORD_BYTES_MAX + 1]) {
    if (length > PASSWORD_BYTES_MAX) {
        command_fail("the password has more than %d bytes", PASSWORD_BYTES_MAX);
        return CH_EINVAL;
    }
    memcpy(password, text, length);
    password[length] = '\0';
    return 0;
}

static int from_file(const char *path, char password[static PASSWORD_BYTES_MAX + 1]) {
    char problem[FILE_PROBLEM_MAX];
    size_t size = 0;
    char *text = file_read(path, FILE_MAX, &size, problem);
    if (text == NULL) {
        command_fail("%s: %s", path, problem);
        return CH_EIO;
    }
    int code = take(text, strcspn(text, "\r\n"), password);
    secret_wipe(text, size);
    free(text);
    return code;
}

/* One line of the terminal, which shows nothing of it. */
static int read_hidden(FILE *terminal, const char *prompt, char password[static PASSWORD_BYTES_MAX + 1]) {
    char line[PASSWORD_BYTES_MAX + 3];
    struct termios before, hidden;
    if (tcgetattr(fileno(terminal), &before) != 0) {
        return CH_EIO;
    }
    hidden = before;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    fputs(prompt, terminal);
    fflush(terminal);
    tcsetattr(fileno(terminal), TCSAFLUSH, &hidden);
    bool any = fgets(line, sizeof line, terminal) != NULL;
    tcsetattr(fileno(terminal), TCSAFLUSH, &before);
    fputs("\n", terminal);
    int code = any ? take(line, strcspn(line, "\r\n"), password) : CH_EIO;
    secret_wipe(line, sizeof line);
    return code;
}

static int from_terminal(char password[static PASSWORD_BYTES_MAX + 1]) {
    char again[PASSWORD_BYTES_MAX + 1] = "";
    FILE *terminal = fopen("/dev/tty", "r+e");
    if (terminal == NULL) {
        command_fail("there is no terminal to ask for the password: --password-file - reads standard input");
        return CH_EIO;
    }
    int code = read_hidden(terminal, "Password: ", password);
    if (code == 0) {
        code = read_hidden(terminal, "Once more: ", again);
    }
    if (code == 0 && strcmp(password, again) != 0) {
        command_fail("that was not the same twice");
        code = CH_EINVAL;
    } else if (code == CH_EIO) {
        command_fail("the terminal gave no password");
    }
    secret_wipe(again, sizeof again);
    fclose(terminal);
    return code;
}

static int generate(char password[static PASSWORD_BYTES_MAX + 1]) {
    enum { GENERATED = 20 }; /* of 64 letters: 120 bits, and a person can type it */
    int code = secret_text(password);
    if (code != 0) {
        command_fail("there are no random numbers");
    }
    secret_wipe(password + GENERATED, SECRET_TEXT - GENERATED);
    return code;
}

int password_input(const struct arguments *arguments, const char *login, struct password_input *input) {
    char hash[PASSWORD_HASH_TEXT];
    input->generated = argument_given(arguments, "generate-password");
    int code = input->generated ? generate(input->password)
               : argument_given(arguments, "password-file")
                   ? from_file(argument_text(arguments, "password-file"), input->password)
                   : from_terminal(input->password);
    const char *flaw = code == 0 ? password_flaw(input->password, login) : NULL;
    if (flaw != NULL) {
        command_fail("the password %s", flaw);
        return CH_EINVAL;
    }
    if (code == 0 && password_hash(input->password, hash) != 0) {
        command_fail("the password cannot be hashed: that takes 19 MiB of memory");
        return CH_EMEMORY;
    }
    return code == 0 ? member_put(arguments->request, "password_hash", cJSON_CreateString(hash)) : code;
}
