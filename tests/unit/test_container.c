/* Containers by the paths of their cgroups. The lines are those of real machines, with each runtime and cgroup driver, as
 * their documentation and public reports show them; each says what it is the path of. */
#include "engine/proc/container.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* last: it needs the ones above */
#include <cmocka.h>

#define A "3f2a91c0b7de4455667788990011223344556677889900aabbccddeeff001122"
#define B "e0d1c2b3a4958677685940312233445566778899aabbccddeeff00112233aabb"
#define UID "2b48dc2b-5ef7-11e9-9b79-5cf9dd8db3a8"
#define UID_ "2b48dc2b_5ef7_11e9_9b79_5cf9dd8db3a8"
#define STATIC "1a2b3c4d5e6f708192a3b4c5d6e7f809"

static const struct {
	const char *path, *runtime, *id, *name, *pod;
	const char *cgroup; /* NULL: the whole path */
} paths[] = {
        /* docker: cgroupfs, systemd, rootless, in docker, on ECS */
        {"/docker/" A, "docker", A, "", ""},
        {"/system.slice/docker-" A ".scope", "docker", A, "", ""},
        {"/system.slice/docker-" A ".scope/init", "docker", A, "", "", "/system.slice/docker-" A ".scope"},
        {"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" A ".scope", "docker", A, "", ""},
        {"/docker/" A "/docker/" B, "docker", B, "", ""},
        {"/docker/" A "/system.slice/containerd.service", "docker", A, "", "", "/docker/" A},
        {"/ecs/0410eff2-7e59-4111-823e-1e0d98ef7f30/" A, "docker", A, "", ""},
        {"/ecs/55091c13b8cf4801b527f8601742204a/55091c13b8cf4801b527f8601742204a-3935363592", "ecs",
                "55091c13b8cf4801b527f8601742204a-3935363592", "", ""},
        {"/actions_job/" A, "unknown", A, "", ""},
        /* Kubernetes: cgroupfs and systemd, the qualities of service, runtimes, static pods, kind */
        {"/kubepods/besteffort/pod" UID "/" A, "kubernetes", A, "", UID},
        {"/kubepods/burstable/pod" UID "/" A, "kubernetes", A, "", UID},
        {"/kubepods/pod" UID "/" A, "kubernetes", A, "", UID},
        {"/kubepods/burstable/pod" STATIC "/" A, "kubernetes", A, "", STATIC},
        {"/kubepods/burstable/pod" UID "/crio-" A, "cri-o", A, "", UID},
        {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_ ".slice/cri-containerd-" A ".scope",
                "containerd", A, "", UID},
        {"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" UID_ ".slice/docker-" A ".scope", "docker",
                A, "", UID},
        {"/kubepods.slice/kubepods-pod" UID_ ".slice/crio-" A ".scope", "cri-o", A, "", UID},
        {"/kubepods.slice/kubepods-pod" UID_ ".slice/crio-" A ".scope/container", "cri-o", A, "", UID,
                "/kubepods.slice/kubepods-pod" UID_ ".slice/crio-" A ".scope"},
        {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" STATIC ".slice/cri-containerd-" A ".scope",
                "containerd", A, "", STATIC},
        {"/system.slice/containerd.service/kubepods-burstable-pod" UID_ ".slice:cri-containerd:" A, "containerd", A, "",
                UID},
        {"/docker/" B "/kubelet/kubepods/burstable/pod" UID "/" A, "kubernetes", A, "", UID},
        {"/system.slice/docker-" B ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
         "kubelet-kubepods-besteffort-pod" UID_ ".slice/cri-containerd-" A ".scope",
                "containerd", A, "", UID},
        /* inside a cgroup namespace */
        {"/../cri-containerd-" A ".scope", "containerd", A, "", ""},
        {"/../../kubepods-besteffort-pod" UID_ ".slice/cri-containerd-" A ".scope", "containerd", A, "", UID},
        /* containerd alone */
        {"/default/" A, "containerd", A, "", ""},
        {"/system.slice/nerdctl-" A ".scope", "containerd", A, "", ""},
        /* podman: root, a user, cgroupfs, in a pod */
        {"/machine.slice/libpod-" A ".scope", "podman", A, "", ""},
        {"/machine.slice/libpod-" A ".scope/container", "podman", A, "", "", "/machine.slice/libpod-" A ".scope"},
        {"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" A ".scope/container", "podman", A, "", "",
                "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" A ".scope"},
        {"/libpod_parent/libpod-" A, "podman", A, "", ""},
        {"/machine.slice/machine-libpod_pod_" B ".slice/libpod-" A ".scope", "podman", A, "", ""},
        /* LXC, LXD, libvirt */
        {"/lxc/web", "lxc", "web", "web", ""},
        {"/lxc/web/init.scope", "lxc", "web", "web", "", "/lxc/web"},
        {"/lxc.payload/web", "lxc", "web", "web", ""},
        {"/lxc.payload.web/system.slice/nginx.service", "lxc", "web", "web", "", "/lxc.payload.web"},
        {"/lxc.payload.web/system.slice/docker-" A ".scope", "docker", A, "", ""},
        {"/machine.slice/machine-lxc\\x2d2170\\x2dweb\\x2d1.scope/init.scope", "lxc", "web-1", "web-1", "",
                "/machine.slice/machine-lxc\\x2d2170\\x2dweb\\x2d1.scope"},
        /* systemd-nspawn */
        {"/machine.slice/machine-debian\\x2dtree.scope/payload", "systemd-nspawn", "debian-tree", "debian-tree", "",
                "/machine.slice/machine-debian\\x2dtree.scope"},
        {"/machine.slice/systemd-nspawn@debian.service/payload/init.scope", "systemd-nspawn", "debian", "debian", "",
                "/machine.slice/systemd-nspawn@debian.service"},
        /* others */
        {"/garden/7a5e2d34-6d1b-4f0c-5c3a-1f2e", "garden", "7a5e2d34-6d1b-4f0c-5c3a-1f2e", "", ""},
        {"/system.slice/docker.service/buildkit/ilqzbxdhs3m0o2g9gfyyjh5bs", "buildkit", "ilqzbxdhs3m0o2g9gfyyjh5bs", "",
                ""},
        {"/mesos/8b1b9b2c-5b0e-4f7a-9d52-1c2e7f3a4b5c", "mesos", "8b1b9b2c-5b0e-4f7a-9d52-1c2e7f3a4b5c", "", ""},
        {"/system.slice/other-runtime-" A ".scope", "unknown", A, "", ""},
};

static const char *const none[] = {
        "",
        "/",
        "/init.scope",
        "/system.slice/docker.service",
        "/system.slice/containerd.service",
        "/user.slice/user-1000.slice/session-3.scope",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-" UID ".scope",
        "/docker",
        "/docker/abc",
        "/docker/buildx",
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_ ".slice",
        "/kubepods/burstable/pod" UID,
        "/machine.slice/libpod-conmon-" A ".scope",
        "/machine.slice/crio-conmon-" A ".scope",
        "/machine.slice/machine-qemu\\x2d1\\x2dwindows.scope/libvirt/emulator",
        "/lxc.monitor.web",
        "/lxc.monitor/web",
        "/lxc",
        "/process_api/ca86018875e6ac19626c009a826a4389",
        "/system.slice/docker-3F2A91C0B7DE4455667788990011223344556677889900AABBCCDDEEFF001122.scope",
        "/..",
};

/* Every way to write a container's path, and where it ends. */
static void test_paths(void **state)
{
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		struct container container;
		size_t used;
		if (!container_parse_path(paths[i].path, strlen(paths[i].path), &container, &used))
			fail_msg("%s: not a container", paths[i].path);
		assert_string_equal(container.runtime, paths[i].runtime);
		assert_string_equal(container.id, paths[i].id);
		assert_string_equal(container.name, paths[i].name);
		assert_string_equal(container.pod_uid, paths[i].pod);
		assert_string_equal(container.cgroup, paths[i].cgroup ? paths[i].cgroup : paths[i].path);
	}
}

/* What only looks like one, and the monitors and pods around them. */
static void test_none(void **state)
{
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		struct container container;
		size_t used;
		if (container_parse_path(none[i], strlen(none[i]), &container, &used))
			fail_msg("%s: %s %s", none[i], container.runtime, container.id);
	}
}

static struct container parse(const char *text)
{
	struct container container;
	container_parse(text, strlen(text), &container);
	return container;
}

/* Whole files: version 1, version 2, and both, where either may have the container. */
static void test_files(void **state)
{
	struct container container =
	        parse("12:pids:/docker/" A "\n11:name=systemd:/docker/" A "\n0::/system.slice/docker.service\n");
	assert_string_equal(container.id, A);
	assert_false(container.unified);
	container = parse("0::/system.slice/docker-" A ".scope\n");
	assert_string_equal(container.id, A);
	assert_true(container.unified);
	container = parse("4:memory:/docker/" A "\n1:name=systemd:/docker/" A "\n0::/docker/" A "/inner\n");
	assert_true(container.unified);
	assert_string_equal(container.cgroup, "/docker/" A);
	container = parse("9:name=systemd:/\n4:memory:/process_api/ca86018875e6ac19626c009a826a4389\n0::/\n");
	assert_string_equal(container.runtime, "");
	container = parse("no colons\n::\n5\n0:\n4:memory:/docker/" A); /* cut */
	assert_string_equal(container.id, A);
}

static void test_labels(void **state)
{
	struct text text = {0};
	struct container container = parse("0::/docker/" A "\n");
	container_label(&text, &container);
	assert_string_equal(text_str(&text), "docker:3f2a91c0b7de");
	text_reset(&text);
	container = parse("0::/lxc.payload.web\n");
	container_label(&text, &container);
	assert_string_equal(text_str(&text), "lxc:web");
	text_fini(&text);
}

static void put_file(const char *root, const char *folders, const char *name, const char *content)
{
	char path[1024];
	snprintf(path, sizeof(path), "%s%s", root, folders);
	for (char *c = path + strlen(root) + 1; *c; c++)
		if (*c == '/') {
			*c = 0;
			mkdir(path, 0700);
			*c = '/';
		}
	snprintf(path + strlen(path), sizeof(path) - strlen(path), "%s", name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(content, file);
	fclose(file);
}

static struct container named(const char *root, const char *cgroup)
{
	struct container container = parse(cgroup);
	container_name(&container, root, 0);
	return container;
}

/* Names are found in the files that runtimes keep, in the form that they have there. */
static void test_names(void **state)
{
	char root[] = "/tmp/rille-container-XXXXXX", command[64];
	assert_non_null(mkdtemp(root));
	struct container container = named(root, "0::/docker/" A "\n");
	assert_string_equal(container.name, "");
	put_file(root, "/var/lib/docker/containers/" A "/", "config.v2.json",
	        "{\"StreamConfig\":{\"Name\":\"no\"},\"State\":{\"Running\":true},\"ID\":\"" A
	        "\",\"Args\":[\"Name\"],\"Config\":{\"Hostname\":\"3f2a\"},\"Name\":\"/"
	        "web-1\",\"Driver\":\"overlay2\"}");
	container = named(root, "0::/docker/" A "\n");
	assert_string_equal(container.name, "web-1");
	put_file(root, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" B "/", "config.json",
	        "{\"ociVersion\": \"1.0.2\", \"process\": {\"args\": [\"io.kubernetes.cri.container-name\"]},\n"
	        "\"annotations\": {\"io.kubernetes.cri.container-name\": \"nginx\", "
	        "\"io.kubernetes.cri.sandbox-name\": "
	        "\"web-7d9-x2\",\n \"io.kubernetes.cri.sandbox-namespace\": \"shop\"}}");
	container = named(root, "0::/kubepods/pod" UID "/" B "\n");
	assert_string_equal(container.name, "nginx");
	assert_string_equal(container.pod, "web-7d9-x2");
	assert_string_equal(container.pod_namespace, "shop");
	put_file(root, "/var/lib/containers/storage/overlay-containers/", "containers.json",
	        "[{\"id\":\"" B "\",\"names\":[\"other\"],\"image\":\"x\"},{\"id\":\"" A
	        "\",\"names\":[\"db\"],\"metadata\":\"{\\\"id\\\":\\\"" B "\\\"}\"}]");
	container = named(root, "0::/machine.slice/libpod-" A ".scope/container\n");
	assert_string_equal(container.name, "web-1"); /* docker's file is asked first, ids do not repeat in life */
	container = named(root, "0::/machine.slice/libpod-" B ".scope/container\n");
	assert_string_equal(container.name, "nginx");
	static const char *const bad[] = {
	        "{\"Name\":\"/cut", "[1]", "\"Name\"", "{\"Name\":[\"x\"]}", "", "{\"Name\":null}"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		put_file(root, "/var/lib/docker/containers/" A "/", "config.v2.json", bad[i]);
		container = named(root, "0::/docker/" A "\n");
		assert_string_equal(container.name, "db"); /* podman's then */
	}
	snprintf(command, sizeof(command), "rm -r %s", root);
	assert_int_equal(system(command), 0);
}

/* A process of our own: what /proc says of it, and one that is not there. */
static void test_processes(void **state)
{
	struct container container;
	assert_true(container_of(getpid(), &container) >= 0);
	assert_int_equal(container_of(0x3fffffff, &container), -ESRCH);
	struct container_found *found;
	struct err err = {0};
	assert_int_equal(container_find("no container is called so", &found, &err), -ENOENT);
	assert_string_equal(err.tag, "no-container");
	assert_true(err.hint[0]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_paths),
	        cmocka_unit_test(test_none),
	        cmocka_unit_test(test_files),
	        cmocka_unit_test(test_labels),
	        cmocka_unit_test(test_names),
	        cmocka_unit_test(test_processes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
