/* Traces a command from a loop of its own, and prints each socket pair that it makes as a line of JSON.
 *
 *     cc -o host host.c $(pkg-config --cflags --libs rille)
 *     sudo ./host COMMAND… */
#define _GNU_SOURCE
#include <fcntl.h>
#include <rille.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

static int show(void *user, const rille_event *event)
{
	const char *json;
	size_t len;
	(void)user;
	return rille_event_json(event, &json, &len) == 0 && printf("%.*s\n", (int)len, json) < 0 ? RILLE_END : 0;
}

int main(int argc, char **argv)
{
	char byte;
	int gate[2], loop = epoll_create1(EPOLL_CLOEXEC);
	if (argc < 2 || pipe2(gate, O_CLOEXEC))
		return 2;
	pid_t child = fork();
	if (child == 0) /* waits until it is traced */
		return close(gate[1]) == 0 && read(gate[0], &byte, 1) == 1 ? execvp(argv[1], argv + 1) : 1;
	rille *r = rille_new(NULL);
	if (!r || rille_load_recipe(r, "socketpair") || rille_target_pid(r, child) || rille_on_event(r, show, NULL) ||
	        rille_attach(r) || write(gate[1], "g", 1) != 1) {
		fputs(rille_last_error(r)->formatted, stderr);
		return 1;
	}
	struct epoll_event event = {.events = EPOLLIN};
	epoll_ctl(loop, EPOLL_CTL_ADD, rille_fd(r), &event);
	while (rille_dispatch(r, 0, 0) >= 0) /* until the command has ended */
		epoll_wait(loop, &event, 1, -1);
	rille_stop(r, NULL);
	rille_free(r);
	return 0;
}
