/* A PAM module that asks one question: pam_ask.so FILE PROMPT. The answer is right where it is the file's text.
 *
 * Linux-PAM's own modules cannot ask two questions in one login: the second takes the answer to the first.
 * It is declared here what is used of the library, whose headers are seldom installed, as they have it:
 * security/_pam_types.h and security/pam_ext.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, AUTH_ERR = 7, PROMPT_ECHO_OFF = 1 };

int pam_prompt(void *handle, int style, char **response, const char *format, ...);

int pam_sm_authenticate(void *handle, int flags, int argc, const char **argv)
{
    char wanted[128] = "", *given = NULL;
    FILE *file = argc == 2 ? fopen(argv[0], "r") : NULL;
    int right = 0;

    (void)flags;
    if (!file)
        return AUTH_ERR;
    if (fgets(wanted, sizeof wanted, file)
        && pam_prompt(handle, PROMPT_ECHO_OFF, &given, "%s", argv[1]) == SUCCESS && given) {
        wanted[strcspn(wanted, "\n")] = '\0';
        right = wanted[0] && strcmp(wanted, given) == 0;
    }
    fclose(file);
    free(given);
    return right ? SUCCESS : AUTH_ERR;
}

int pam_sm_setcred(void *handle, int flags, int argc, const char **argv)
{
    (void)handle, (void)flags, (void)argc, (void)argv;
    return SUCCESS;
}
