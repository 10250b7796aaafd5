import pytest
from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

from sync_agent.azure.identity import credential_for


@pytest.mark.parametrize(
    ("auth", "kind"),
    [("default", DefaultAzureCredential), ("managed-identity", ManagedIdentityCredential)],
)
async def test_a_deployment_signs_in_through_azure_identity(auth: str, kind: type) -> None:
    credential = credential_for(auth)
    assert isinstance(credential, kind)
    await credential.close()


async def test_a_fixed_token_is_what_was_given() -> None:
    token = await credential_for("token", "t").get_token("https://digitaltwins.azure.net/.default")
    assert token.token == "t"
