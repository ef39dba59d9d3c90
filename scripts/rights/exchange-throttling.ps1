<#
.SYNOPSIS
Gives one account its own throttling policy on an on-premises Exchange, so that a first copy is not slowed down.

.DESCRIPTION
Run it in the Exchange Management Shell. MailShadow waits as long as the server tells it to; this only makes the server
tell it less often. The limits of the policy that are not named here stay those of the default policy. -Remove gives
the account the default policy again and deletes this one. The change holds after some minutes.

.EXAMPLE
./exchange-throttling.ps1 -Account svc-mailshadow
#>
param(
    [Parameter(Mandatory = $true)] [string] $Account,
    [int] $Concurrency = 40,
    [string] $Name = "MailShadow",
    [switch] $Remove
)
$ErrorActionPreference = "Stop"

$policy = Get-ThrottlingPolicy $Name -ErrorAction SilentlyContinue
if ($Remove) {
    Set-ThrottlingPolicyAssociation $Account -ThrottlingPolicy $null
    if ($policy) { Remove-ThrottlingPolicy $Name -Confirm:$false }
    Write-Output "Taken back: $Account has the default policy again."
    return
}
if (-not $policy) { New-ThrottlingPolicy $Name | Out-Null }
Set-ThrottlingPolicy $Name -EWSMaxConcurrency $Concurrency
# Exchange 2010 counts percentages of time, later ones fill a bucket.
$version = (Get-ExchangeServer | Sort-Object AdminDisplayVersion | Select-Object -First 1).AdminDisplayVersion
if ("$version" -match "Version 14\.") { Set-ThrottlingPolicy $Name -EWSPercentTimeInCAS $null -EWSPercentTimeInAD $null -EWSPercentTimeInMailboxRPC $null }
else { Set-ThrottlingPolicy $Name -EwsMaxBurst Unlimited -EwsRechargeRate Unlimited -EwsCutoffBalance Unlimited }
Set-ThrottlingPolicyAssociation $Account -ThrottlingPolicy $Name
Get-ThrottlingPolicyAssociation $Account | Format-List Name, ThrottlingPolicyId
