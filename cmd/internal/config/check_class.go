package config

import (
	"slices"
	"time"
)

// builtIn are the classes that moggy comes with; a test holds them against
// those of package whitelist. Nothing changes it.
var builtIn = [...]string{
	"own", "user", "crawler", "probe", "correspondent", "peer", "pool", "mua", "stranger", "listed", "guesser",
}

// mailPrograms are the classes in which people's mail programs come: their
// owner at home, somebody who logged in, somebody who is about to.
var mailPrograms = [...]string{"own", "user", "mua"}

// sixAccounts is a little more than what the mail program of somebody with six
// accounts opens within a second: three connections for each.
const sixAccounts = 20

// A budget's numbers go no higher than most: no machine gets near it, and
// burst times minutes is still a time.
const most = 1_000_000

func (k *checker) classes() {
	for name, class := range k.c.Classes {
		path := "class." + name
		k.ownName(path, name)
		k.rate(path, "rate", class.Rate)
		k.rate(path, "recipients", class.Recipients)
		k.amount(path+".burst", class.Burst)
		k.amount(path+".open", class.Open)
		if class.Wait != nil {
			k.wait(path+".wait", name, *class.Wait)
		}
		if k.given(path+".recipients") && name != "stranger" {
			k.fault(path+".recipients", "is for class stranger only, for others are carried untouched and moggy sees no recipients; remove it")
		}
		if slices.Contains(mailPrograms[:], name) {
			k.roomy(path+".burst", class.Burst)
			k.roomy(path+".open", class.Open)
		}
	}
}

// ownName warns of a class that looks like a slip of a built-in one: as a class
// of the operator's own it is obeyed, but nobody is in it.
func (k *checker) ownName(path, name string) {
	if slices.Contains(builtIn[:], name) {
		return
	}
	if near, ok := nearest(name, builtIn[:]); ok {
		k.warn(path, "is none of the classes moggy comes with, and becomes one of your own; write [class.%s] if that is meant", near)
	}
}

// rate checks a rate of a class, for budgets count by the minute.
func (k *checker) rate(class, key string, r Rate) {
	path := class + "." + key
	switch {
	case !k.given(path):
	case r.perHour()/60 > most:
		k.fault(path, `is more than %d per minute; write %s = "%d/min" or less`, most, key, most)
	case r.perHour()%60 != 0:
		k.fault(path, `is not a whole number per minute; write %s = "%d/min"`, key, r.PerMinute()+1)
	}
}

// wait checks how long a class stands in line. Those who are talked to do not:
// they would stand there in the slots of others.
func (k *checker) wait(path, name string, d time.Duration) {
	k.between(path, d, 0, time.Minute, ", and mail programs that wait so long give up and come back with more")
	if d > 0 && (name == "stranger" || name == "listed") {
		k.fault(path, "is not for class %s, which is sent away at once and never stands in line; remove it", name)
	}
}

// amount checks how many there may be of something, if the file says it.
func (k *checker) amount(path string, n int) {
	if !k.given(path) {
		return
	}
	k.atLeast(path, n, 1, "")
	if n > most {
		k.fault(path, "is more than %d; write %d or less", most, most)
	}
}

func (k *checker) roomy(path string, n int) {
	if k.given(path) && k.sound(path) && n < sixAccounts {
		k.warn(path, "is too little for a mail program with six accounts, which opens 18 connections within a second; write %d or more", sixAccounts)
	}
}
