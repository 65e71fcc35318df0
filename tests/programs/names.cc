// Names that a compiler mangles: in namespaces, with templates, operators, lambdas, constructors. Sleeps in the innermost.
#include <cstdio>
#include <unistd.h>

#define KEEP __asm__ volatile("" ::: "memory")

namespace outer
{
namespace
{
__attribute__((noinline)) void rest(int level)
{
	std::puts("ready");
	std::fflush(stdout);
	for (;;)
		pause();
	std::printf("%d", level);
}
} // namespace

template <typename T, int N> struct Box {
	T value;
	__attribute__((noinline)) explicit Box(T v) : value(v)
	{
		rest(N);
		KEEP;
	}
	__attribute__((noinline)) T operator()(const T &other) const
	{
		Box<T, N> inner(other);
		KEEP;
		return inner.value;
	}
};
} // namespace outer

struct Base {
	virtual ~Base() = default;
	virtual long call(long) const = 0;
};

struct Derived final : Base {
	__attribute__((noinline)) long call(long n) const override
	{
		alignas(outer::Box<long, 7>) static unsigned char room[sizeof(outer::Box<long, 7>)];
		long result = (*reinterpret_cast<outer::Box<long, 7> *>(room))(n);
		KEEP;
		return result;
	}
};

int main()
{
	Derived derived;
	Base *volatile base = &derived;
	auto lambda = [](Base * b) __attribute__((noinline))
	{
		long result = b->call(3);
		KEEP;
		return result;
	};
	int result = static_cast<int>(lambda(base));
	KEEP;
	return result;
}
