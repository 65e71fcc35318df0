/* The native half of Torture.java: a system call that can be told from all others, and calls back into Java. */
#include <alloca.h>
#include <jni.h>
#include <string.h>
#include <sys/socket.h>

enum { FIRST_PROTOCOL = 0x40000000 };

/* A Unix socket with a protocol that does not exist: fails at once and changes nothing, but carries a number. */
JNIEXPORT void JNICALL Java_Torture_call(JNIEnv *env, jclass class, jint number)
{
	socket(AF_UNIX, SOCK_STREAM, FIRST_PROTOCOL + number);
}

static void back(JNIEnv *env, jclass class, jmethodID method, jobject walk, jint depth, int frames)
{
	volatile char *room = alloca(64 * (frames + 1));
	memset((char *)room, frames, 64);
	if (frames > 0)
		back(env, class, method, walk, depth, frames - 1);
	else
		(*env)->CallStaticVoidMethod(env, class, method, walk, depth);
	room[0]++;
}

/* Some C frames, then Torture.next(walk, depth). */
JNIEXPORT void JNICALL Java_Torture_back(JNIEnv *env, jclass class, jobject walk, jint depth, jint frames)
{
	jmethodID method = (*env)->GetStaticMethodID(env, class, "next", "(LTorture$Walk;I)V");
	if (method)
		back(env, class, method, walk, depth, frames);
}
