"""Making accounts, for the command line, as the database's owner: the API itself can neither make nor change one."""

from __future__ import annotations

from dataclasses import dataclass

from api.logins import normal_login
from api.passwords import hash_password
from api.roles import Role
from store.connection import Connection
from store.town_clock import read_clock

MIN_PASSWORD = 12
DEMO_PASSWORD = "mimamori-demo"


class AccountError(Exception):
    """An account cannot be made; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """One account of the demo, to print beside its address."""

    login: str
    password: str
    display_name: str
    role: Role


DEMO_ACCOUNTS = (
    DemoAccount("disaster", DEMO_PASSWORD, "防災担当（デモ）", Role.DISASTER),
    DemoAccount("water", DEMO_PASSWORD, "水道担当（デモ）", Role.WATER),
    DemoAccount("tourism", DEMO_PASSWORD, "観光担当（デモ）", Role.TOURISM),
    DemoAccount("digital", DEMO_PASSWORD, "デジタル推進担当（デモ）", Role.DIGITAL),
    DemoAccount("viewer", DEMO_PASSWORD, "閲覧者（デモ）", Role.VIEWER),
    # What one person of the disaster desk enters beforehand for the public, another has to sign.
    DemoAccount("disaster2", DEMO_PASSWORD, "防災係長（デモ）", Role.DISASTER),
)


def create_user(
    conn: Connection,
    *,
    municipality_code: str,
    login: str,
    display_name: str,
    role: str,
    password: str,
    email: str | None = None,
) -> int:
    """Makes an account and returns its user_id; the caller commits. `conn` is the owner's.

    Raises `AccountError` for an unknown municipality or role, a login that exists, or a password that is shorter
    than 12 characters or contains the login.
    """
    login = normal_login(login)
    if not login or any(letter.isspace() for letter in login):
        raise AccountError(f"the login {login!r} must be one word")
    if role not in set(Role):
        raise AccountError(f"there is no role {role!r}; use one of {', '.join(Role)}")
    if len(password) < MIN_PASSWORD:
        raise AccountError(f"the password has {len(password)} characters; it needs at least {MIN_PASSWORD}")
    if login in password.casefold():
        raise AccountError("the password contains the login; choose another one")
    if not display_name.strip():
        raise AccountError(f"{login} needs a name to show beside what they do")
    town = conn.execute("select municipality_id from municipality where code = %s", (municipality_code,)).fetchone()
    if town is None:
        raise AccountError(f"there is no municipality {municipality_code}; register the town first")
    made = conn.execute(
        """
        insert into app_user (municipality_id, login, display_name, role, email, password_hash)
        values (%s, %s, %s, %s, %s, %s) on conflict (login) do nothing returning user_id
        """,
        (town[0], login, display_name.strip(), role, email, hash_password(password)),
    ).fetchone()
    if made is None:
        raise AccountError(f"the login {login!r} exists already; choose another one")
    return int(made[0])


def create_demo_users(conn: Connection, municipality_code: str) -> tuple[DemoAccount, ...]:
    """The five accounts of the demo, one a role, made where missing; the caller commits.

    Their password is printed in the documentation. Raises `AccountError` where the town's clock is real: a real
    town has no account that everybody knows.
    """
    setting = read_clock(conn)
    if setting is None or not setting.simulated:
        raise AccountError("demo accounts are for a simulated town only; use `mimamori user add`")
    for account in DEMO_ACCOUNTS:
        known = conn.execute("select from app_user where login = %s", (account.login,)).fetchone()
        if known is None:
            create_user(
                conn,
                municipality_code=municipality_code,
                login=account.login,
                display_name=account.display_name,
                role=account.role.value,
                password=account.password,
                email=f"{account.login}@example.invalid",
            )
    return DEMO_ACCOUNTS
